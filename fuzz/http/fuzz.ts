import { createServer } from 'node:http';
import { Field } from '../../packages/http-relay/src/h2/field.ts';
import { FrameReader, flags, frames, preface, writeFrameHead } from '../../packages/http-relay/src/h2/frames.ts';
import { encoded } from '../../packages/http-relay/src/h2/testing/encoded.ts';
import { readByNode } from '../../packages/http-relay/src/testing/node-reading.ts';
import { passOn, takeFrames } from '../../packages/http-relay/src/testing/offline.ts';
import type { Target, TargetGroup } from '../frame/target.ts';
import { seeds, words } from './corpus.ts';
import { holdsFor, tally } from './passing.ts';

const server = createServer({ maxHeaderSize: 64 * 1024 });

/** Requests against Node.js' own parser. */
const requests: Target = {
  name: 'requests',
  seeds,
  words,
  run: (input) =>
    holdsFor(input, async (bytes) => {
      const { requests, error } = await readByNode(server, bytes);
      return { lines: requests.map(({ line }) => line), error };
    }),
};

const question = Buffer.from('POST /v1/models/a:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n');
const asText = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'));

/** Answers of a model server: the client gets one answer that is whole by its own words, or learns that it is not. */
const answers: Target = {
  name: 'answers',
  seeds: () =>
    [
      'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nX: 1\r\n\r\n',
      'HTTP/1.0 200 OK\r\n\r\nuntil it closes',
      'HTTP/1.1 404 Not Found\r\nX-Roundhouse-Not-Here: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n',
    ].map(asText),
  words: [...words, 'HTTP/1.1 200 OK\r\n', 'HTTP/1.1 101 Switching Protocols\r\n\r\n', '204', '304'],
  run(input) {
    const { answer, ended, left } = passOn([question], Buffer.from(input));
    if (left !== 0) throw new Error(`${left} things are left of a connection that is gone`);
    const text = answer.toString('latin1').replace(/^(HTTP\/1\.1 1\d\d.*?\r\n\r\n)+/s, '');
    const [, status, fields = '', body = ''] =
      /^HTTP\/1\.1 (\d{3})[^\r]*\r\n((?:[^\r]+\r\n)*)\r\n(.*)$/s.exec(text) ?? [];
    if (ended === 'reset') return `reset after ${tally(status)}`;
    if (text === '') return `nothing, ${ended}`;
    if (status === undefined) throw new Error(`the client cannot read ${JSON.stringify(text.slice(0, 200))}`);
    const length = /^content-length: (\d+)$/im.exec(`${fields}\r`.replaceAll('\r', ''))?.[1];
    const isChunked = /^transfer-encoding: chunked/im.test(fields);
    const bodyless = status === '204' || status === '304';
    if (bodyless && body !== '') throw new Error(`a ${status} has a body`);
    if (!bodyless && length !== undefined && body.length !== Number(length)) {
      throw new Error(`${length} bytes were announced, ${body.length} came, and the connection goes on`);
    }
    if (!bodyless && isChunked && !/(^|\r\n)0+\r\n(.*\r\n)?\r\n$/s.test(body))
      throw new Error('the last chunk is missing');
    if (!bodyless && length === undefined && !isChunked) throw new Error('nobody can tell where the answer ends');
    return `${tally(status)} ${ended} ${isChunked} ${length === undefined}`;
  },
};

const frame = (type: number, flag: number, id: number, payload: Buffer = Buffer.alloc(0)) => {
  const bytes = Buffer.alloc(9);
  writeFrameHead(bytes, 0, payload.length, type, flag, id);
  return Buffer.concat([bytes, payload]);
};
const block = (fields: Readonly<Record<string, string>>) =>
  encoded(Object.entries(fields).map(([name, value]) => new Field(name, value)));
const settings = frame(frames.settings, 0, 0, Buffer.from('000400010000', 'hex'));
const basic = { ':method': 'POST', ':scheme': 'http', ':authority': 'a' };
const infer = block({
  ...basic,
  ':path': '/inference.GRPCInferenceService/ModelInfer',
  'content-type': 'application/grpc',
  te: 'trailers',
});
const rest = block({ ...basic, ':path': '/v1/models/a:predict', 'content-length': '2' });
const message = Buffer.from('00000000060a0469726973', 'hex');

/** The kinds of frames in `bytes`, and the codes that resets and goodbyes carry. */
function framesIn(bytes: Buffer): string[] {
  const kinds = new Set<string>();
  const reader = new FrameReader({
    onFrame(type, _flag, _id, all, start, end) {
      const code = type === frames.reset || type === frames.goaway ? all.readUInt32BE(end - 4) : '';
      kinds.add(`${tally(type)}${tally(code)}`);
      return start <= end;
    },
    onFrameTooLarge() {
      throw new Error('we send frames that are too large');
    },
  });
  reader.read(bytes, 0, bytes.length);
  return [...kinds].sort();
}

/** Frames of HTTP/2: whatever comes, nothing is thrown, and nothing is left once the connection is gone. */
const h2: Target = {
  name: 'frames',
  seeds: () =>
    [
      [settings, frame(frames.headers, flags.endHeaders, 1, infer), frame(frames.data, flags.endStream, 1, message)],
      [
        settings,
        frame(frames.headers, flags.endHeaders, 1, rest),
        frame(frames.data, flags.endStream, 1, Buffer.from('{}')),
      ],
      [
        settings,
        frame(frames.headers, 0, 1, infer.subarray(0, 9)),
        frame(frames.continuation, flags.endHeaders, 1, infer.subarray(9)),
      ],
      [
        settings,
        frame(frames.headers, flags.endHeaders, 1, rest),
        frame(frames.reset, 0, 1, Buffer.from('00000008', 'hex')),
      ],
      [
        settings,
        frame(frames.ping, 0, 0, Buffer.alloc(8)),
        frame(frames.windowUpdate, 0, 0, Buffer.from('00010000', 'hex')),
      ],
      [settings, frame(frames.goaway, 0, 0, Buffer.alloc(8)), frame(frames.priority, 0, 3, Buffer.alloc(5))],
    ].map((all) => new Uint8Array(Buffer.concat(all))),
  words: [
    settings,
    frame(frames.ping, 0, 0, Buffer.alloc(8)),
    frame(frames.windowUpdate, 0, 1, Buffer.from('00010000', 'hex')),
  ].map((bytes) => bytes.toString('latin1')),
  async run(input) {
    const bytes = Buffer.concat([Buffer.from(preface), input]);
    const middle = bytes.length >> (input.length % 4);
    const { parked, streams, answer, ended, left } = await takeFrames([
      bytes.subarray(0, middle),
      bytes.subarray(middle),
    ]);
    if (left !== 0) throw new Error(`${left} things are left of a connection that is gone`);
    return `${tally(Math.min(parked, 9))} parked, ${tally(Math.min(streams, 9))} open: ${ended} after ${framesIn(answer).join(' ')}`;
  },
};

export const group: TargetGroup = {
  summary: 'what clients and model servers send to a relay, against the parser of Node.js',
  targets: [requests, answers, h2],
};
