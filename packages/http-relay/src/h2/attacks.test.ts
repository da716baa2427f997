import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { RelayOptions } from '../index.ts';
import { until } from '../testing/rig.ts';
import { Field } from './field.ts';
import { codes, FrameReader, flags, frames, preface, writeFrameHead } from './frames.ts';
import { encoded } from './testing/encoded.ts';
import { createRig, type GrpcRig, request, status } from './testing/rig.ts';

let rig: GrpcRig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

function frame(type: number, flag: number, id: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  writeFrameHead(head, 0, payload.length, type, flag, id);
  return Buffer.concat([head, payload]);
}
const uint32 = (value: number) => Buffer.from([value >>> 24, value >>> 16, value >>> 8, value]);
const message = (bytes: Buffer) => Buffer.concat([Buffer.from([0]), uint32(bytes.length), bytes]);
const settings = frame(frames.settings, 0, 0);
const ping = frame(frames.ping, 0, 0, Buffer.alloc(8));
const basic = {
  ':method': 'POST',
  ':scheme': 'http',
  ':path': '/inference.GRPCInferenceService/ModelInfer',
  ':authority': 'a',
  'content-type': 'application/grpc',
  te: 'trailers',
};
const head = (fields: Readonly<Record<string, string>> = basic) =>
  encoded(Object.entries(fields).map(([name, value]) => new Field(name, value)));
const headers = (id: number, block = head(), flag: number = flags.endHeaders) => frame(frames.headers, flag, id, block);
const infer = (id: number, model = 'iris') =>
  Buffer.concat([headers(id), frame(frames.data, flags.endStream, id, message(request(model)))]);

/** A client that writes frames as it likes, and reads those that come. */
async function attacker(port: number, first: readonly Buffer[] = [settings]) {
  const client = await rig.client(port);
  const seen: { type: number; flag: number; id: number; payload: Buffer }[] = [];
  const reader = new FrameReader({
    onFrame(type, flag, id, bytes, start, end) {
      seen.push({ type, flag, id, payload: Buffer.from(bytes.subarray(start, end)) });
      return true;
    },
    onFrameTooLarge() {},
  });
  client.socket.on('data', (chunk) => reader.read(chunk, 0, chunk.length));
  client.send(Buffer.concat([Buffer.from(preface), ...first]));
  const of = (type: number) => seen.filter((one) => one.type === type);
  return Object.assign(client, {
    of,
    /** The code that the connection ended with. */
    async ending(): Promise<number> {
      await until(() => of(frames.goaway).length > 0);
      return of(frames.goaway)[0]!.payload.readUInt32BE(4);
    },
    /** The code that a stream was reset with. */
    async resetOf(id: number): Promise<number> {
      await until(() => of(frames.reset).some((one) => one.id === id));
      return of(frames.reset)
        .find((one) => one.id === id)!
        .payload.readUInt32BE(0);
    },
  });
}

async function relayed(options: Partial<RelayOptions> = {}) {
  const server = await rig.server({});
  const made = await rig.relay(server.port, options);
  return { ...made, well: rig.grpc(made.port) };
}

const many = (count: number, make: (n: number) => Buffer) =>
  Buffer.concat(Array.from({ length: count }, (_, n) => make(n)));

describe('a client that attacks', () => {
  it.each([
    [
      'resets what it opens, rapidly',
      many(1_100, (n) => Buffer.concat([headers(n * 2 + 1), frame(3, 0, n * 2 + 1, uint32(8))])),
    ],
    [
      'has us reset what it opens, rapidly',
      many(1_100, (n) => Buffer.concat([headers(n * 2 + 1), frame(frames.windowUpdate, 0, n * 2 + 1, uint32(0))])),
    ],
    ['floods with settings', many(1_100, () => settings)],
    ['floods with pings', many(1_100, () => ping)],
    ['floods with empty data', Buffer.concat([headers(1), many(1_100, () => frame(frames.data, 0, 1))])],
    ['floods with priorities', many(1_100, () => frame(frames.priority, 0, 1, Buffer.alloc(5)))],
    ['floods with frames of no known type', many(1_100, () => frame(0x55, 0, 0))],
    [
      'never ends a header block',
      Buffer.concat([headers(1, head(), 0), many(20, () => frame(frames.continuation, 0, 1))]),
    ],
    [
      'sends an endless header block',
      Buffer.concat([
        headers(1, Buffer.alloc(16_384), 0),
        many(2, () => frame(frames.continuation, 0, 1, Buffer.alloc(16_384))),
      ]),
    ],
  ])('is cut off when it %s, and others are served', async (_, flood) => {
    const { port, upstream, well, relay } = await relayed();
    const client = await attacker(port);

    client.send(flood);

    expect(await client.ending()).toBe(codes.calm);
    expect((await well.infer('iris')).length).toBe(6);
    await until(() => client.closed && upstream.inFlight === 0 && relay.stats.connections === 1);
  });

  it.each([
    ['a frame larger than agreed', frame(frames.data, 0, 1, Buffer.alloc(16_385)), codes.frameSize],
    ['data for no stream', frame(frames.data, 0, 1), codes.protocol],
    ['headers for stream 0', headers(0), codes.protocol],
    ['an even stream', headers(2), codes.protocol],
    ['another frame inside a header block', Buffer.concat([headers(1, head(), 0), ping]), codes.protocol],
    ['a block that is no HPACK', headers(1, Buffer.from([0xff, 0xff, 0xff, 0xff, 0xff])), codes.compression],
    ['a push', frame(frames.pushPromise, 4, 1, Buffer.alloc(4)), codes.protocol],
    ['a window update of 0', frame(frames.windowUpdate, 0, 0, uint32(0)), codes.protocol],
    ['a window beyond its bound', frame(frames.windowUpdate, 0, 0, uint32(2 ** 31 - 1)), codes.flowControl],
    ['a half ping', frame(frames.ping, 0, 0, Buffer.alloc(4)), codes.frameSize],
    ['settings of odd size', frame(frames.settings, 0, 0, Buffer.alloc(5)), codes.frameSize],
    [
      'padding longer than the frame',
      Buffer.concat([headers(1), frame(frames.data, flags.padded, 1, Buffer.from([9, 1]))]),
      codes.protocol,
    ],
  ])('ends its connection with %s', async (_, bytes, code) => {
    const { port, well } = await relayed();
    const client = await attacker(port);

    client.send(bytes);

    expect(await client.ending()).toBe(code);
    expect((await well.infer('iris')).length).toBe(6);
  });

  it('must begin with settings', async () => {
    const { port } = await relayed();

    expect(await (await attacker(port, [ping])).ending()).toBe(codes.protocol);
  });

  it.each([
    ['an upper-case name', { ...basic, 'X-A': '1' }],
    ['a connection field', { ...basic, connection: 'close' }],
    ['a line break in a value', { ...basic, x: 'a\r\nb: c' }],
    ['te other than trailers', { ...basic, te: 'gzip' }],
    ['an unknown pseudo-field', { ...basic, ':x': '1' }],
    ['a pseudo-field behind the others', { x: '1', ...basic }],
    ['no path', Object.fromEntries(Object.entries(basic).filter(([name]) => name !== ':path'))],
    ['two hosts', { ...basic, host: 'b' }],
    ['an answer', { ':status': '200' }],
  ])('has a request with %s reset, and goes on', async (_, fields) => {
    const { port, upstream } = await relayed();
    const client = await attacker(port);

    client.send(headers(1, head(fields)));
    client.send(infer(3));

    expect(await client.resetOf(1)).toBe(codes.protocol);
    await until(() => client.of(frames.headers).length === 2);
    expect(upstream.inFlight).toBe(0);
  });

  it('is told that its metadata is too large, however small it was packed', async () => {
    const { port } = await relayed();
    const client = await attacker(port);
    // One field of 4,000 bytes into the table, and 200 times that field.
    const big = Buffer.concat([Buffer.from('4001617fa11e', 'hex'), Buffer.alloc(4_000, 'b'), Buffer.alloc(200, 0xbe)]);

    client.send(headers(1, Buffer.concat([head(), big]), flags.endHeaders | flags.endStream));
    await until(() => client.of(frames.headers).length === 1);

    expect(client.text).toContain('malformed-request');
    expect(client.of(frames.goaway)).toEqual([]);
  });

  it('gets 128 streams at a time and no more', async () => {
    const { port } = await relayed({ pick: () => 'parked' });
    const client = await attacker(port);

    client.send(many(129, (n) => infer(n * 2 + 1)));

    expect(await client.resetOf(257)).toBe(codes.refused);
    expect(client.of(frames.reset)).toHaveLength(1);
  });

  it('may not send more than its window', async () => {
    const { port } = await relayed({ pick: () => 'parked' });
    const client = await attacker(port);
    const part = frame(frames.data, 0, 1, Buffer.concat([message(request('iris')), Buffer.alloc(16_000)]));

    client.send(Buffer.concat([headers(1), many(9, () => part)]));

    expect(await client.resetOf(1)).toBe(codes.flowControl);
  });

  it('is cut off when it never opens its window', async () => {
    const { port, upstream, well } = await relayed({ limits: { idleTimeoutMs: 300 } });
    const none = Buffer.concat([Buffer.from([0, 4]), uint32(0)]);
    const client = await attacker(port, [frame(frames.settings, 0, 0, none)]);

    client.send(infer(1));

    expect(await client.resetOf(1)).toBe(codes.cancel);
    expect((await well.infer('iris')).length).toBe(6);
    expect(upstream.inFlight).toBe(0);
  });

  it('is cut off when it does not read the answers to what it sends', async () => {
    const { port, relay } = await relayed({
      pick: () => ({ status: 503, reason: 'overloaded', message: 'x'.repeat(8_000) }),
    });
    const client = await attacker(port);
    client.socket.pause();

    for (let n = 0; n < 20_000 && relay.stats.connections > 0; n++) {
      client.send(infer(n * 2 + 1));
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }

    await until(() => relay.stats.connections === 0);
  });

  it('may speak in single bytes, with padding, priorities and blocks in pieces', async () => {
    const { port } = await relayed();
    const client = await attacker(port);
    const block = head();
    const padded = Buffer.concat([Buffer.from([3, 0, 0, 0, 0, 9]), block.subarray(0, 9), Buffer.alloc(3)]);
    const bytes = Buffer.concat([
      headers(1, padded, flags.padded | flags.priority),
      frame(frames.continuation, 0, 1, block.subarray(9, 20)),
      frame(frames.continuation, flags.endHeaders, 1, block.subarray(20)),
      frame(frames.data, flags.padded, 1, Buffer.concat([Buffer.from([4]), message(request('iris')), Buffer.alloc(4)])),
      frame(frames.data, flags.endStream, 1),
    ]);

    for (const byte of bytes) client.send(Buffer.from([byte]));
    await until(() => client.of(frames.headers).length === 2);

    expect(client.of(frames.data)[0]?.payload).toEqual(message(request('iris')));
  });
});

describe('an upstream that breaks the rules', () => {
  it('fails the requests that it has, and only those', async () => {
    const broken = await rig.net((socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'));
    const { port } = await rig.relay(broken.port);
    const failure = await rig.grpc(port).failure('ModelInfer', request('iris'));

    expect(failure.code).toBe(status.UNAVAILABLE);
    expect(failure.metadata.get('x-roundhouse-reason')[0]).toMatch(/upstream-protocol|upstream-reset/);
  });
});
