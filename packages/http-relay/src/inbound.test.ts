import { createHash } from 'node:crypto';
import { Agent, request } from 'node:http';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Inbound } from './inbound.ts';
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
  for (let at = 0; at + 4 <= size; at += 4) body.writeUInt32LE(client * 0x1000000 + at / 4, at);
  return body;
};

describe('connections that share the memory that they are read into', () => {
  it('are possible in this Node.js', async () => {
    let shares: boolean | undefined;
    const server = await rig.net((socket) => {
      const opened = new Inbound().open(socket);
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
