import type { Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writesDirectly, writeWhole } from './outbound.ts';
import { createRig, post, type Rig, until } from './testing/rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

/** Both ends of one connection; the client reads nothing until it is resumed. */
async function connection() {
  let server: Socket | undefined;
  const { port } = await rig.net((socket) => {
    server = socket;
  });
  const client = await rig.client(port);
  client.socket.pause();
  await until(() => server !== undefined);
  return { client, socket: server! };
}

const message = (n: number) => Buffer.alloc(64 * 1024, `${n},`);

describe('whole messages', () => {
  it('can go past the stream in this Node.js', () => {
    expect(writesDirectly).toBe(true);
  });

  it('arrive in order and whole when the kernel is full, with what the stream writes behind them', async () => {
    const { client, socket } = await connection();
    let drained = 0;
    socket.on('drain', () => drained++);
    let sent = 0;
    while (writeWhole(socket, message(sent++)));
    const full = sent;
    for (; sent < full + 3; sent++) (sent % 2 === 0 ? writeWhole : write)(socket, message(sent));
    const before = drained;
    client.socket.resume();
    await until(() => drained > before && client.text.length === sent * 64 * 1024);

    expect(client.text).toBe(Array.from({ length: sent }, (_, n) => message(n).toString('latin1')).join(''));
    expect(writeWhole(socket, Buffer.from('more'))).toBe(true);
  });

  it('are followed by the end that was asked for behind them', async () => {
    const { client, socket } = await connection();
    let sent = 0;
    while (writeWhole(socket, message(sent++)));
    socket.end('the end');
    client.socket.resume();
    await until(() => client.closed);

    expect(client.text.length).toBe(sent * 64 * 1024 + 7);
    expect(client.text.endsWith('the end')).toBe(true);
  });

  it('close the connection when nobody is there any more', async () => {
    const { client, socket } = await connection();
    let closed = false;
    socket.on('close', () => {
      closed = true;
    });
    client.socket.resetAndDestroy();
    await until(() => {
      if (!socket.destroyed) writeWhole(socket, message(0));
      return closed;
    });

    expect(socket.destroyed).toBe(true);
  });

  it('are not written over while a client does not read them', async () => {
    const size = 8_000;
    const upstream = await rig.http((req, res) => {
      req.resume();
      res.end(req.url!.padEnd(size, req.url!));
    });
    const { port } = await rig.relay(upstream.port);
    const names = Array.from({ length: 1_000 }, (_, n) => `m${n}`);
    const slow = await Promise.all(Array.from({ length: 4 }, () => rig.client(port)));
    const paths = slow.map((_, client) => names.map((name) => `/v1/models/c${client}-${name}:predict`));
    slow.forEach((client, index) => {
      client.socket.pause();
      client.send(paths[index]!.map((path) => post(path, ['Content-Length: 2'], '{}')).join(''));
    });
    // Others use the same memory meanwhile.
    for (let n = 0; n < 200; n++) {
      const answer = await rig.exchange(
        port,
        post('/v1/models/b:predict', ['Connection: close', 'Content-Length: 2'], '{}'),
      );
      expect(answer).toContain('/v1/models/b:predict');
    }
    for (const client of slow) client.socket.resume();
    const bodyOf = (path: string) => path.padEnd(size, path);
    await until(() => slow.every(({ text }, index) => text.endsWith(bodyOf(paths[index]!.at(-1)!))));

    const wrong = slow.flatMap(({ text }, index) => {
      const bodies = text
        .split('HTTP/1.1 200 OK\r\n')
        .slice(1)
        .map((answer) => answer.slice(answer.indexOf('\r\n\r\n') + 4));
      return paths[index]!.filter((path, n) => bodies[n] !== bodyOf(path));
    });
    expect(wrong).toEqual([]);
  });
});

function write(socket: Socket, bytes: Buffer): boolean {
  return socket.write(bytes);
}
