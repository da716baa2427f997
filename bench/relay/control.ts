import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { type AgentSession, createRouteBoard, serveControl } from '@roundhouse/control-protocol';
import { createAuthority } from '../../packages/control-protocol/src/testing/certificates.ts';
import { until } from '../frame/stack.ts';
import { host, modelName } from './load.ts';
import { scratch } from './process.ts';

const serverName = 'roundhouse-control.roundhouse-system.svc';
const service = 'default/bench';
const warm = 1;
const cold = 2;
const loaded = 5;
const changeEveryMs = 100;

/** A controller's end of the control stream that tells one service's routers and agents what each is to know. */
export type Control = Awaited<ReturnType<typeof openControl>>;

export async function openControl() {
  const directory = join(scratch, 'control');
  const artifact = join(directory, 'artifact');
  mkdirSync(artifact, { recursive: true });
  writeFileSync(join(artifact, 'model.bin'), 'nothing that the stub looks at');
  const authority = await createAuthority();
  const certificate = await authority.issue(serverName);
  const caFile = join(directory, 'ca.crt');
  const tokenFile = join(directory, 'token');
  writeFileSync(caFile, authority.ca);
  writeFileSync(tokenFile, 'token');
  const own = await authority.issue(host);
  const certFile = join(directory, 'tls.crt');
  const keyFile = join(directory, 'tls.key');
  writeFileSync(certFile, own.cert);
  writeFileSync(keyFile, own.key);
  const agents = new Map<string, AgentSession>();
  /** A table of its own for each router, by the name of its pod. */
  const boards = new Map<string, ReturnType<typeof createRouteBoard>>();
  const quiet = { info: () => {}, warn: () => {} };
  const server = await serveControl(
    { clock: systemClock, log: quiet },
    {
      listen: { host: '127.0.0.1', port: 0 },
      tls: () => certificate,
      epoch: 1,
      version: '0.1.0',
      authenticateAgent: async () => {},
      authenticateRouter: async () => {},
      onAgent: (session) => void agents.set(session.hello.podName, session),
      onRouter: (session) => boards.get(session.hello.instance.replace(/-[a-z0-9]+$/, ''))?.attach(session),
    },
  );
  const modelFor = (name: string) => ({
    name,
    storageUri: `file://${artifact}`,
    framework: 'onnx',
    memory: '1Mi',
    digest: '1',
  });

  return {
    certFile,
    keyFile,
    environment: {
      ROUNDHOUSE_CONTROL_ADDRESS: `127.0.0.1:${server.port}`,
      ROUNDHOUSE_CONTROL_SERVER_NAME: serverName,
      ROUNDHOUSE_CA_FILE: caFile,
      ROUNDHOUSE_TOKEN_FILE: tokenFile,
      ROUNDHOUSE_FILE_ROOTS: directory,
    },

    /** The table of the router in pod `router`: `models` models, all warm on the one replica. */
    routes(router: string, replicaPort: number, models: number) {
      const board = createRouteBoard({ clock: systemClock });
      boards.set(router, board);
      board.publish({
        services: [{ key: service, hosts: [host], pathPrefixes: [], v1: true, v2: true }],
        replicas: [{ id: 'replica', service, dataAddress: `127.0.0.1:${replicaPort}` }],
        models: Array.from({ length: models }, (_, index) => route(index, warm)),
      });
      return {
        settled: () => board.settled(10_000, new AbortController().signal),
        /** Models that are asked for turn cold and warm, others come and go, until the returned function is called. */
        change() {
          let step = 0;
          const timer = setInterval(() => {
            const extra = { service, name: `extra-${step % 50}` };
            board.publish({
              models: [route(step % models, (step / models) % 2 < 1 ? cold : warm), { ...route(0, warm), ...extra }],
              removedModels: step % 2 === 0 ? [] : [{ service, name: `extra-${(step + 25) % 50}` }],
            });
            step++;
          }, changeEveryMs);
          return () => {
            clearInterval(timer);
            board.publish({ models: Array.from({ length: models }, (_, index) => route(index, warm)) });
          };
        },
      };
    },

    /** Assigns `models` models to the agent in pod `pod`; resolves once it has loaded them all. */
    async assign(pod: string, models: number) {
      await until(`${pod} connects`, async () => agents.has(pod));
      const session = agents.get(pod) as AgentSession;
      session.replaceAssignment(Array.from({ length: models }, (_, index) => modelFor(modelName(index))));
      await until(
        `${pod} has loaded its models`,
        async () => {
          const states = [...session.reports.values()];
          return states.length === models && states.every(({ state }) => state === loaded);
        },
        50,
      );
      return {
        /** Other models come and go, until the returned function is called. */
        change() {
          let step = 0;
          const timer = setInterval(() => {
            session.assign([modelFor(`extra-${step % 50}`)], step < 25 ? [] : [`extra-${(step - 25) % 50}`]);
            step++;
          }, changeEveryMs);
          return () => {
            clearInterval(timer);
            session.assign(
              [],
              Array.from({ length: 50 }, (_, index) => `extra-${index}`),
            );
          };
        },
      };
    },

    close: () => server.close(),
  };
}

function route(index: number, residency: number) {
  return { service, name: modelName(index), copies: [{ replica: 'replica', residency }] };
}
