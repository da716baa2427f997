import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inbound } from './inbound.ts';
import { createRig, post, type Rig, until } from './testing/rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

const path = '/v1/models/a:predict';
const digest = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Unlike any other client's, and unlike itself a page further on. */
const bodyOf = (client: number, size: number) => {
  const body = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) body.writeUInt32LE(client * 0x12345 + at / 4, at);
  return body;
};

describe('connections that share the memory that they are read into', () => {
  it('are possible in this Node.js', async () => {
    let shares: boolean | undefined;
    const server = await rig.net((socket) => {
      const opened = inbound(socket);
      shares = opened.readBy !== undefined;
      opened.destroy();
    });
    await rig.client(server.port);
    await until(() => shares !== undefined);

    expect(shares).toBe(true);
  });

  it('keep their bodies apart, also where upstreams read slowly', async () => {
    const upstream = await rig.http((req, res) => {
      const hash = createHash('sha256');
      req.on('data', (chunk) => {
        hash.update(chunk);
        req.pause();
        setImmediate(() => req.resume()); // so that kernel buffers fill, and what is written waits in ours
      });
      req.on('end', () => res.end(hash.digest('hex')));
    });
    const { port } = await rig.relay(upstream.port);
    const agent = new Agent({ keepAlive: true });
    const ask = (body: Buffer) =>
      new Promise<string>((resolve, reject) => {
        const sent = request({ port, host: '127.0.0.1', method: 'POST', path, agent }, (res) => {
          let text = '';
          res.on('data', (chunk) => {
            text += chunk;
          });
          res.on('end', () => resolve(text));
        });
        sent.on('error', reject).end(body);
      });

    const bodies = Array.from({ length: 12 }, (_, client) =>
      bodyOf(client, client % 3 === 0 ? 3_000_000 : 300 + client),
    );
    const rounds = await Promise.all(bodies.map(async (body) => [await ask(body), await ask(body)]));
    agent.destroy();

    expect(rounds).toEqual(bodies.map((body) => [digest(body), digest(body)]));
  });

  it('keep their answers apart, also where clients read slowly', async () => {
    const upstream = await rig.http((req, res) => {
      req.resume();
      const [client = 0, size = 0, piece = 0] = (req.headers['x-asked'] as string).split('/').map(Number);
      if (client % 2 === 0) res.setHeader('Content-Length', size);
      const body = bodyOf(client, size);
      const pieces = Array.from({ length: Math.ceil(size / piece) }, (_, n) =>
        body.subarray(n * piece, (n + 1) * piece),
      );
      Readable.from(pieces).pipe(res);
    });
    const { port } = await rig.relay(upstream.port);
    const agent = new Agent({ keepAlive: true });
    const ask = (client: number, size: number, piece: number) =>
      new Promise<string>((resolve, reject) => {
        const headers = { 'x-asked': `${client}/${size}/${piece}` };
        const sent = request({ port, host: '127.0.0.1', method: 'POST', path, agent, headers }, (res) => {
          const hash = createHash('sha256');
          res.on('data', (chunk) => hash.update(chunk));
          res.pause();
          setTimeout(() => res.resume(), client % 3 === 0 ? 0 : 100); // so that kernel buffers fill, and what was read waits in ours
          res.on('end', () => resolve(hash.digest('hex'))).on('error', reject);
        });
        sent.on('error', reject).end('{}');
      });

    const answers = [
      [8_000_000, 500_000],
      [2_000_000, 12_000],
      [100_000, 30_000],
      [300, 100],
    ] as const;
    const asked = Array.from({ length: 16 }, (_, client) => [client, ...answers[(client >> 1) % 4]!] as const);
    const rounds = await Promise.all(
      asked.map(async ([client, size, piece]) => [await ask(client, size, piece), await ask(client, size, piece)]),
    );
    agent.destroy();

    expect(rounds).toEqual(
      asked.map(([client, size]) => {
        const expected = digest(bodyOf(client, size));
        return [expected, expected];
      }),
    );
  });

  it('keep short answers apart that nobody reads', async () => {
    const size = 40_000;
    const upstream = await rig.http((req, res) => {
      req.resume();
      res.setHeader('Content-Length', size);
      res.end(bodyOf(Number(req.headers['x-asked']), size));
    });
    const { port } = await rig.relay(upstream.port);
    const requests = (client: number) =>
      Array.from({ length: 250 }, (_, n) => post(path, [`x-asked: ${client * 1000 + n}`, 'Content-Length: 2'], '{}'));
    const clients = await Promise.all(Array.from({ length: 4 }, () => rig.client(port)));

    for (const [n, { socket, send }] of clients.entries()) {
      socket.pause();
      send(requests(n).join(''));
    }
    await new Promise((resolve) => setTimeout(resolve, 300)); // all answers of one fit into no kernel buffer
    for (const { socket } of clients) socket.resume();
    const ends = clients.map((_, n) => bodyOf(n * 1000 + 249, size).toString('latin1'));
    await until(() => clients.every(({ text }, n) => text.endsWith(ends[n]!)));

    for (const [n, { text }] of clients.entries()) {
      const bodies = text.split(/HTTP\/1\.1 200 .*?\r\n\r\n/s).slice(1);
      expect(bodies.map((body) => digest(Buffer.from(body, 'latin1')))).toEqual(
        Array.from({ length: 250 }, (_, asked) => digest(bodyOf(n * 1000 + asked, size))),
      );
    }
  });

  it('answer requests sent ahead in their order, whatever waits for the end of a turn', async () => {
    const upstream = await rig.http((req, res) => {
      req.resume();
      res.end(req.url);
    });
    const { port, relay } = await rig.relay(upstream.port);
    const requests = Array.from({ length: 8 }, (_, n) => post(`/v1/models/m${n}:predict`, ['Content-Length: 2'], '{}'));
    const clients = await Promise.all(Array.from({ length: 6 }, () => rig.client(port)));

    for (const client of clients) client.send(`${requests.join('')}nonsense\r\n\r\n`);
    await until(() => clients.every(({ closed }) => closed));

    for (const { text } of clients) {
      expect([...text.matchAll(/\/v1\/models\/(m\d):predict/g)].map(([, name]) => name)).toEqual(
        requests.map((_, n) => `m${n}`),
      );
      expect(text.lastIndexOf('HTTP/1.1 400')).toBeGreaterThan(text.lastIndexOf('m7'));
    }
    await until(() => relay.stats.connections === 0);
  });
});
