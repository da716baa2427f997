import { createHash } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createRig, post, type Rig, until } from './testing/rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

const mebibyte = 1024 * 1024;
const path = '/v1/models/a:predict';
/** What may be under way between two ends: socket buffers of both hops, and ours. */
const inTransitMax = 24 * mebibyte;

const pattern = (length: number) => Buffer.alloc(length, 'abcdefghijklmnopqrstuvwxyz0123456789-');
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

describe('large bodies', () => {
  it.each(['content-length', 'chunked'])('go both ways unchanged (%s)', async (framing) => {
    const upstream = await rig.http((req, res) => {
      if (framing === 'content-length') res.setHeader('content-length', req.headers['content-length']!);
      req.pipe(res);
    });
    const { port } = await rig.relay(upstream.port);
    const body = pattern(50 * mebibyte);

    const init: RequestInit = framing === 'chunked' ? { body: new Blob([body]).stream(), duplex: 'half' } : { body };
    const answer = await fetch(`http://127.0.0.1:${port}${path}`, { method: 'POST', ...init });

    expect(digest(Buffer.from(await answer.arrayBuffer()))).toBe(digest(body));
  });

  it('wait for an upstream that reads slowly', async () => {
    let read = 0;
    const upstream = await rig.net((socket) => {
      socket.pause();
      socket.on('data', (chunk) => {
        read += chunk.length;
      });
    });
    const { port } = await rig.relay(upstream.port);
    const client = await rig.client(port);
    const body = pattern(50 * mebibyte);

    client.send(post(path, [`Content-Length: ${body.length}`], ''));
    client.socket.write(body);
    await settled(() => client.socket.bytesWritten - client.socket.writableLength);

    expect(client.socket.bytesWritten - client.socket.writableLength).toBeLessThan(inTransitMax);

    for (const socket of upstream.sockets) socket.resume();
    await until(() => read > body.length);
  });

  it('wait for a client that reads slowly', async () => {
    const body = pattern(50 * mebibyte);
    let sent = () => 0;
    const upstream = await rig.net((socket) => {
      sent = () => socket.bytesWritten - socket.writableLength;
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`);
        socket.write(body);
      });
    });
    const { port } = await rig.relay(upstream.port);
    const client = await rig.client(port);
    client.socket.pause();

    client.send(post(path, ['Content-Length: 0', 'Connection: close'], ''));
    await until(() => sent() > 0);
    await settled(sent);

    expect(sent()).toBeLessThan(inTransitMax);

    client.socket.resume();
    await until(() => client.closed);
    expect(client.text.length).toBeGreaterThan(body.length);
    expect(client.text.endsWith(body.subarray(-1_000).toString())).toBe(true);
  });

  it('and the bytes behind them wait while requests are sent ahead without end', async () => {
    const upstream = await rig.net((socket) => socket.resume());
    const { port } = await rig.relay(upstream.port);
    const client = await rig.client(port);
    const request = post(path, ['Content-Length: 0'], '');

    client.send(request.repeat(400_000));
    await settled(() => client.socket.bytesWritten - client.socket.writableLength);

    expect(client.socket.bytesWritten - client.socket.writableLength).toBeLessThan(inTransitMax);
  });
});

/** Waits until `count` has stood still for a while. */
async function settled(count: () => number): Promise<void> {
  let last = -1;
  let since = performance.now();
  await until(() => {
    const now = count();
    if (now !== last) since = performance.now();
    last = now;
    return performance.now() - since > 200;
  });
}
