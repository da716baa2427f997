import { type Clock, systemClock, systemRandom } from '@roundhouse/base';
import type { AgentSession, AssignedModelFields } from '../agent-session.ts';
import { type AgentStreamOptions, attachAgent } from '../agent-stream.ts';
import { type ControlServer, type ControlServerOptions, serveControl } from '../control-server.ts';
import type { StreamLog } from '../log.ts';
import { createRouteBoard } from '../route-board.ts';
import { openRoutes, type RouteStreamOptions } from '../router-stream.ts';
import { createAuthority } from './certificates.ts';

export const serverName = 'roundhouse-control.roundhouse-system.svc';

/** A real controller's end, agents and routers over TLS on loopback, with real clocks. */
export async function createRig() {
  const authority = await createAuthority();
  const certificate = await authority.issue(serverName);
  const stops: (() => Promise<void>)[] = [];
  const lines: string[] = [];
  const log: StreamLog = {
    info: (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    warn: (fields, message) => void lines.push(`${message} ${JSON.stringify(fields)}`),
  };
  const deps = { clock: systemClock, random: systemRandom, log };
  const board = createRouteBoard({ clock: systemClock });

  const rig = {
    authority,
    board,
    lines,
    port: 0,
    sessions: [] as AgentSession[],

    /** Listens on the port of the earlier server, if there was one. */
    async serve(options: Partial<ControlServerOptions> = {}, clock: Clock = systemClock): Promise<ControlServer> {
      const server = await serveControl(
        { clock, log },
        {
          listen: { host: '127.0.0.1', port: rig.port },
          tls: () => certificate,
          epoch: 1,
          version: '0.1.0',
          heartbeatMs: 200,
          authenticateAgent: async () => {},
          authenticateRouter: async () => {},
          onAgent: (session) => void rig.sessions.push(session),
          onRouter: (session) => board.attach(session),
          ...options,
        },
      );
      rig.port = server.port;
      stops.push(() => server.close());
      return server;
    },

    connection: (token: () => string = () => 'token') => ({
      address: `127.0.0.1:${rig.port}`,
      serverName,
      ca: async () => authority.ca,
      token: async () => token(),
    }),

    agent(options: Partial<AgentStreamOptions> = {}) {
      const stream = attachAgent(deps, {
        connection: rig.connection(),
        hello: () => ({
          version: '0.1.0',
          instance: 'i',
          namespace: 'default',
          service: 's',
          podName: 'p',
          podUid: 'u',
        }),
        traffic: () => [],
        onAssignment: () => {},
        ...options,
      });
      return { stream, stop: start((signal) => stream.run(signal)) };
    },

    router(options: Partial<RouteStreamOptions> = {}) {
      const instance = `router-${stops.length}`;
      const stream = openRoutes(deps, {
        connection: rig.connection(),
        hello: () => ({ version: '0.1.0', instance }),
        apply: () => {},
        ...options,
      });
      return { stream, stop: start((signal) => stream.run(signal)) };
    },

    async close() {
      await Promise.all(stops.map((stop) => stop()));
    },
  };

  function start(run: (signal: AbortSignal) => Promise<void>) {
    const controller = new AbortController();
    const running = run(controller.signal);
    const stop = async () => {
      controller.abort(new Error('stopped'));
      await running;
    };
    stops.push(stop);
    return stop;
  }
  return rig;
}

export type Rig = Awaited<ReturnType<typeof createRig>>;

/** A model whose digest says its version. */
export function aModel(name: string, version = 1): AssignedModelFields {
  return { name, storageUri: `s3://bucket/${name}`, framework: 'onnx', digest: `${name}-${version}` };
}

/** Waits until `condition` holds; fails after ten seconds with what was waited for. */
export async function until(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`still not: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
