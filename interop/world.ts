import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  aModel,
  type ClusterRequests,
  clusterRequests,
  inferenceServices,
  pidOf,
  type Stack,
  startStack,
  trainedModels,
} from '@roundhouse/testkit';
import { writeArtifacts } from './artifacts.ts';
import type { Environment } from './environments.ts';
import { predict } from './predict.ts';
import { type Protocol, type Server, writeImages } from './servers.ts';

const checkout = join(import.meta.dirname, '..');

/** A running stack in which `server` is a runtime, and artifacts for it. */
export type World = {
  readonly server: Server;
  readonly environment: Environment;
  readonly stack: Stack;
  readonly api: ClusterRequests;
  readonly host: (service: string) => string;
  /** Applies an InferenceService with the server's predictor; resolves once it is Ready. */
  serve(service: string): Promise<void>;
  /** Applies a model that answers `value`, or one that no library can read. */
  add(name: string, service: string, value: number | 'corrupt'): Promise<void>;
  /** Lets an existing model answer `value` from now on. */
  change(name: string, value: number): Promise<void>;
  remove(name: string): Promise<void>;
  models(): Promise<readonly ModelState[]>;
  predict(service: string, model: string, protocol?: Protocol, prefix?: boolean): Promise<number>;
  /** Ends the process of a container of the service's only pod as a crash would; resolves once another runs in its place. */
  kill(service: string, container: string): Promise<void>;
  /** How many pods of the service there are, those that end included. */
  pods(service: string): Promise<number>;
  close(): Promise<void>;
};

export type ModelState = {
  readonly name: string;
  readonly ready: boolean;
  readonly reason: string;
  readonly message: string;
  /** `2/3` */
  readonly copies: string;
};

type Status = {
  readonly conditions?: readonly { type: string; status: string; reason?: string; message?: string }[];
  readonly copies?: { readonly summary?: string };
};
type Item = { readonly metadata: { readonly name: string }; readonly status?: Status };

/** `values` is how many different artifacts of each framework are made: 1 to `values`. */
export async function openWorld(server: Server, environment: Environment, values: number): Promise<World> {
  const directory = mkdtempSync(join(tmpdir(), 'roundhouse-interop-'));
  await writeArtifacts(server, environment, directory, values);
  const images = join(directory, 'images.json');
  writeImages(server, environment, images);
  const stack = await startStack({ checkout, args: ['--no-examples', '--file-root', directory, '--images', images] });
  let closing = false;
  let complaints = '';
  stack.process.stderr?.on('data', (chunk) => {
    complaints = `${complaints}${chunk}`.slice(-2_000);
  });
  stack.process.once('exit', (status, signal) => {
    if (!closing) console.error(`${server.name}: the stack ended by itself (${status ?? signal}): ${complaints}`);
  });
  const api = clusterRequests(stack);
  const host = (service: string) => `${service}-default.example.com`;
  const frameworkOf = (value: number | 'corrupt') =>
    server.frameworks[value === 'corrupt' ? 0 : value % server.frameworks.length] ?? '';
  const uriOf = (value: number | 'corrupt') => `file://${join(directory, frameworkOf(value), String(value))}`;

  return {
    ...{ server, environment, stack, api, host },
    async serve(service) {
      await api.post(inferenceServices, {
        apiVersion: 'serving.kserve.io/v1beta1',
        kind: 'InferenceService',
        metadata: { name: service },
        spec: { predictor: server.predictor },
      });
      await until(`service ${service} is Ready`, async () => isReady(await api.get(`${inferenceServices}/${service}`)));
    },
    add: (name, service, value) =>
      api.post(trainedModels, aModel(name, service, uriOf(value), '1Mi', frameworkOf(value))),
    change: (name, value) =>
      api.patch(`${trainedModels}/${name}`, {
        spec: { model: { storageUri: uriOf(value), framework: frameworkOf(value) } },
      }),
    remove: (name) => api.delete(`${trainedModels}/${name}`),
    async models() {
      const { items } = await api.get<{ items: readonly Item[] }>(trainedModels);
      return items.map(stateOf);
    },
    predict: (service, model, protocol = 'v2', prefix = false) =>
      predict({ routerUrl: stack.routerUrl, service, host: host(service), model, protocol, prefix }),
    async kill(service, container) {
      const running = () => pidOf(api, 'default', `${service}-predictor`, container);
      const pid = await running();
      if (pid === undefined) throw new Error(`${container} of ${service} does not run`);
      process.kill(pid, 'SIGKILL');
      await until(`${container} runs again`, async () => {
        const now = await running();
        return now !== undefined && now !== pid;
      });
    },
    async pods(service) {
      const { items } = await api.get<{ items: readonly Item[] }>('/api/v1/namespaces/default/pods');
      return items.filter(({ metadata }) => metadata.name.startsWith(`${service}-predictor`)).length;
    },
    async close() {
      closing = true;
      await stack.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function isReady({ status }: Item): boolean {
  return status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
}

function stateOf(item: Item): ModelState {
  const ready = item.status?.conditions?.find(({ type }) => type === 'Ready');
  return {
    name: item.metadata.name,
    ready: isReady(item),
    reason: ready?.reason ?? '',
    message: ready?.message ?? '',
    copies: item.status?.copies?.summary ?? '',
  };
}

/** Python servers take up to half a minute to come up on a busy machine. */
const patienceMs = 180_000;

/** Polls until `condition` holds; what it throws counts as no. Rejects with the last of it. */
export async function until(
  what: string,
  condition: () => Promise<boolean>,
  timeoutMs = patienceMs,
  everyMs = 20,
): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    let last = '';
    const holds = await condition().catch((error: Error) => {
      last = `: ${error.message}`;
      return false;
    });
    if (holds) return;
    if (performance.now() > deadline) throw new Error(`not within ${timeoutMs / 1000} s: ${what}${last}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
