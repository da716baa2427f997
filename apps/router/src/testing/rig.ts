import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, globalAgent, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { createRouteBoard, type RouteChange, serveControl } from '@roundhouse/control-protocol';
import { type Log, silentLog } from '@roundhouse/telemetry';
import { createAuthority } from '../../../../packages/control-protocol/src/testing/certificates.ts';
import { parseConfig } from '../config.ts';
import { buildRouter } from '../wiring.ts';

const serverName = 'roundhouse-control.roundhouse-system.svc';
export const warm = 1;
export const cold = 2;

export type Answered = { readonly status: number; readonly headers: IncomingMessage['headers']; readonly body: string };

/** A router between a control server and agents, all real and on loopback. */
export async function createRig() {
  const stops: (() => unknown)[] = [];
  const directory = await mkdtemp(join(tmpdir(), 'router-'));
  stops.push(() => rm(directory, { recursive: true }));
  const authority = await createAuthority();
  const certificate = await authority.issue(serverName);
  await writeFile(join(directory, 'ca.crt'), authority.ca);
  await writeFile(join(directory, 'token'), 'let-me-in');
  const board = createRouteBoard({ clock: systemClock });

  const rig = {
    board,
    directory,
    authority,
    /** Starts the controller's end of the stream; the router finds it again at the same port. */
    async startControl(port = 0) {
      const server = await serveControl(
        { clock: systemClock, log: silentLog },
        {
          listen: { host: '127.0.0.1', port },
          tls: () => certificate,
          epoch: 1,
          version: '0.1.0',
          authenticateAgent: async () => {},
          authenticateRouter: async () => {},
          onAgent: () => {},
          onRouter: (session) => board.attach(session),
        },
      );
      stops.push(() => server.close());
      return server;
    },
    async startRouter(
      controlPort: number,
      flags: readonly string[] = [],
      { log = silentLog, env: more = {} }: { readonly log?: Log; readonly env?: Readonly<Record<string, string>> } = {},
    ) {
      const env = {
        ...more,
        ROUNDHOUSE_CONTROL_ADDRESS: `127.0.0.1:${controlPort}`,
        ROUNDHOUSE_CONTROL_SERVER_NAME: serverName,
        ROUNDHOUSE_CA_FILE: join(directory, 'ca.crt'),
        ROUNDHOUSE_TOKEN_FILE: join(directory, 'token'),
      };
      const { config } = parseConfig(env, ['--host', '127.0.0.1', '--port=0', '--ops-port', '0', ...flags]);
      const router = await buildRouter({ clock: systemClock, random: systemRandom, log }, config!);
      const controller = new AbortController();
      const running = router.run(controller.signal);
      const stop = () => {
        controller.abort();
        return running;
      };
      stops.push(stop);
      return { ...router, stop };
    },
    /** A stand-in for an agent: answers with its name, or as `handler` says. */
    async startAgent(name: string, handler?: (req: IncomingMessage, res: ServerResponse) => void, port = 0) {
      const server = createServer((req, res) => {
        if (handler) handler(req, res);
        else res.end(name);
      });
      await listening(server, port);
      const stop = () => {
        server.closeAllConnections();
        return new Promise<void>((resolve) => server.close(() => resolve()));
      };
      stops.push(stop);
      return { name, port: (server.address() as AddressInfo).port, stop };
    },
    /** Publishes, and returns once the router has it. */
    async publish(change: RouteChange) {
      board.publish(change);
      await board.settled(5_000, new AbortController().signal);
    },
    async close() {
      globalAgent.destroy(); // else each router would wait for requests on its clients' idle connections
      for (const stop of stops.splice(0).reverse()) await stop();
    },
  };
  return rig;
}

export type Rig = Awaited<ReturnType<typeof createRig>>;

export const aService = (key = 'default/examples') => ({
  key,
  hosts: [`${key.split('/').reverse().join('-')}.example.com`],
  pathPrefixes: [`/serving/${key}`],
  v1: true,
  v2: true,
});

export const aReplica = (agent: { readonly name: string; readonly port: number }, service = 'default/examples') => ({
  id: agent.name,
  service,
  dataAddress: `127.0.0.1:${agent.port}`,
});

export const aModel = (name: string, copies: Readonly<Record<string, number>>, service = 'default/examples') => ({
  service,
  name,
  copies: Object.entries(copies).map(([replica, residency]) => ({ replica, residency })),
});

export function ask(
  port: number,
  { method = 'POST', path = '/v1/models/iris:predict', host = 'examples-default.example.com', body = '{}' } = {},
): Promise<Answered> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method, path, headers: { host } }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers, body: text }));
      answer.on('error', reject);
    });
    sent.on('error', reject);
    sent.end(method === 'POST' ? body : undefined);
  });
}

/** Polls until it holds, for 10 s at most. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 1_000; tries++) {
    if (await condition()) return;
    await systemClock.sleep(10, new AbortController().signal);
  }
  throw new Error('it did not come to hold');
}

function listening(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve());
  });
}
