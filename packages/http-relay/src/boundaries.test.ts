import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { RequestHead } from './request-head.ts';
import { bodyOf, createRig, until } from './testing/rig.ts';

/**
 * Whatever we pass on, the server behind us must read with the boundaries that we saw, or a request can hide in another
 * one's body. The server here is Node.js' own parser; it notes each request that it finds and each that it cannot read.
 */

/** What one run saw: what we picked, and what the server behind found, read whole, or could not read. */
type Sight = {
  readonly picked: string[];
  readonly found: string[];
  readonly bodies: string[];
  readonly unreadable: string[];
};

/** A server and a relay before it, of one run alone: what is still under way when the run ends disturbs no other. */
async function openRun() {
  const sight: Sight = { picked: [], found: [], bodies: [], unreadable: [] };
  const server = createServer(async (req, res) => {
    sight.found.push(`${req.method} ${req.url}`);
    const body = await bodyOf(req).catch(() => undefined);
    if (body === undefined) return; // cut off by us, since it was broken
    sight.bodies.push(body);
    res.end('ok');
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code !== 'ECONNRESET' && error.code !== 'HPE_INVALID_EOF_STATE')
      sight.unreadable.push(String(error.code));
    socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const rig = createRig();
  const relay = await rig.relay((server.address() as AddressInfo).port, {
    pick: (head) => {
      sight.picked.push(lineOf(head as RequestHead));
      return relay.upstream;
    },
  });
  return {
    sight,
    client: await rig.client(relay.port),
    async close() {
      await rig.close();
      server.closeAllConnections();
      server.close();
    },
  };
}

const lineOf = ({ bytes, start, methodEnd, pathStart, targetEnd }: RequestHead) =>
  `${bytes.toString('latin1', start, methodEnd)} ${bytes.toString('latin1', pathStart, targetEnd)}`;

/** An unfinished body swallows the request that asks to close: hang up then. */
const brokenMs = 100;
/** What is whole is answered and closed, however busy the machine. */
const wholeMs = 10_000;

/** Sends `text` in parts cut at `cuts`; ends once the connection is closed, or after `patienceMs`. */
async function send(text: string, cuts: readonly number[], patienceMs: number): Promise<Sight & { answer: string }> {
  const { sight, client, close } = await openRun();
  client.socket.setNoDelay(true);
  let at = 0;
  for (const cut of [...cuts].sort((a, b) => a - b)) {
    if (cut <= at || cut >= text.length) continue;
    client.send(text.slice(at, cut));
    at = cut;
    await new Promise(setImmediate);
  }
  client.send(text.slice(at));
  // A last request that asks to close: once it, or a refusal, has closed the connection, everything was read.
  client.send('GET /v2/health/live HTTP/1.1\r\nHost: end\r\nConnection: close\r\n\r\n');
  const endMs = performance.now() + patienceMs;
  await until(() => client.closed || performance.now() > endMs);
  client.socket.destroy();
  const seen = structuredClone(sight);
  await close();
  return { ...seen, answer: client.text };
}

const line = fc.constantFrom(
  ...['POST /v1/models/a:predict HTTP/1.1', 'GET /v2/models/b HTTP/1.1', 'POST /v2/models/c/infer HTTP/1.0'],
  ...['POST http://a/v1/models/d:predict HTTP/1.1', 'POST /v1/models/e%3Apredict HTTP/1.1', 'HEAD /v2 HTTP/1.1'],
);
const hidden = 'POST /v1/models/hidden:predict HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n';
const sized = fc
  .constantFrom('', 'abc', hidden, `0\r\n\r\n${hidden}`)
  .map((text) => `Content-Length: ${text.length}\r\n\r\n${text}`);
const chunk = fc.constantFrom('3\r\nabc\r\n', '03;x="y"\r\nabc\r\n', `${hidden.length.toString(16)}\r\n${hidden}\r\n`);
const lastChunk = fc.constantFrom('0\r\n\r\n', '000\r\n\r\n', '0\r\nX-T: 1\r\n\r\n', '0\r\nContent-Length: 9\r\n\r\n');
const chunked = fc
  .tuple(fc.array(chunk, { maxLength: 3 }), lastChunk)
  .map(([chunks, last]) => `Transfer-Encoding: chunked\r\n\r\n${chunks.join('')}${last}`);
const field = fc.constantFrom(
  'X-A: b\r\n',
  'Connection: keep-alive, x-a\r\n',
  'Connection: content-length, host\r\n',
  'TE: trailers\r\n',
);
const wellFormed = fc
  .tuple(line, fc.array(field, { maxLength: 2 }), fc.oneof(sized, chunked))
  .map(([first, fields, rest]) => `${first}\r\nHost: a\r\n${fields.join('')}${rest}`);

/** Things that parsers have disagreed about, put anywhere, or in place of a few bytes. */
const nasty = fc.constantFrom(
  ...[
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    '\0',
    ' ',
    '\t',
    '\x0b',
    ':',
    ';',
    ',',
    '+',
    '-',
    '0',
    '0x',
    'f',
    '%',
    '\xa0',
    '\xff',
  ],
  ...[
    '\r\nContent-Length: 3',
    '\r\nContent-Length: 0',
    '\r\nTransfer-Encoding: chunked',
    '\r\nTransfer-Encoding: identity',
  ],
  ...['\r\nTransfer-Encoding:\x0bchunked', '\r\n Transfer-Encoding: chunked', '\r\nTransfer-Encoding : chunked'],
  ...['\r\nHost: b', '\r\nConnection: close', '\r\nExpect: 100-continue', '\r\nTransfer_Encoding: chunked', hidden],
);
const message = fc
  .tuple(wellFormed, fc.array(fc.tuple(fc.nat(), fc.nat(2), nasty), { maxLength: 2 }))
  .map(([text, edits]) =>
    edits.reduce((edited, [place, removed, added]) => {
      const at = place % (edited.length + 1);
      return edited.slice(0, at) + added + edited.slice(at + removed);
    }, text),
  );

describe('what is passed on', () => {
  it('is read by Node.js as the same requests', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 3 }), async (messages) => {
        const { picked, found, unreadable } = await send(messages.join(''), [], brokenMs);

        const plain = picked.map((request) => request.replace('%3A', ':'));
        expect(unreadable).toEqual([]);
        // A request whose body breaks off may be withdrawn before the server has read its head.
        expect(plain.slice(0, found.length)).toEqual(found);
        expect(plain.length - found.length).toBeLessThanOrEqual(1);
      }),
      { numRuns: 400 },
    );
  });

  it('does not depend on how it was cut into packets', { timeout: 60_000 }, async () => {
    const requests = [
      'POST /v1/models/a:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\nX-Request-Id: 1\r\n\r\n{"a":1}',
      'POST /v2/models/b/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n',
      'GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n',
      'POST /v1/models/c:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n',
    ];
    const text = requests.join('');
    const view = async (cuts: readonly number[]) => {
      const { answer, picked, found, bodies } = await send(text, cuts, wholeMs);
      return { answer: answer.replaceAll(/Date: [^\r]*/g, ''), picked, found, bodies };
    };
    const whole = await view([]);
    expect(whole.bodies).toEqual(['{"a":1}', 'helloabc', '', '']);

    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(text.length), { maxLength: 40 }), async (cuts) => {
        expect(await view(cuts)).toEqual(whole);
      }),
      { numRuns: 60 },
    );
    expect(await view(Array.from(text, (_, index) => index))).toEqual(whole);
  });
});
