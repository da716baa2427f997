import { join } from 'node:path';
import type { ClusterRequests } from '@roundhouse/testkit';
import { request } from 'undici';
import type { PrivateStores } from './private-stores.ts';

export const checkout = join(import.meta.dirname, '../..');

/** Where scenarios run: on an embedded cluster of this machine, or on a real one with the chart installed. */
export const target = (process.env.E2E_TARGET ?? 'local') as 'local' | 'kubeconfig' | 'kind';

export type Prediction = {
  readonly status: number;
  readonly text: string;
  readonly reason: string | undefined;
  /** The first number of a V1 or V2 answer. */
  readonly value: number | undefined;
};

/** A running stack with models to serve, a kubectl, and the requests that scenarios make. */
export type World = {
  readonly routerUrl: string;
  readonly api: ClusterRequests;
  /** Runs kubectl; `input` goes to standard input. Rejects with its standard error in the message. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Applies manifests given as objects, with the real kubectl. */
  apply(...objects: readonly unknown[]): Promise<string>;
  /** The URI of an artifact that answers `value`; of one that takes `delayMs` to come; of one that is broken. */
  artifact(name: string, value: number | 'corrupt', delayMs?: number): string;
  /** Stores that want credentials. */
  stores(): Promise<PrivateStores>;
  predict(service: string, model: string, options?: { protocol?: 'v1' | 'v2'; prefix?: boolean }): Promise<Prediction>;
  /** The Ready condition of a model: `True`, or the reason why not. */
  readiness(model: string): Promise<string>;
  /** Kills a container as a crash would; resolves once another one runs in its place. Of several pods it takes the first. */
  kill(namespace: string, podPrefix: string, container: string): Promise<{ untilBack(): Promise<void> }>;
  close(): Promise<void>;
};

export type Condition = {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
};

/** What all worlds do alike, given a kubectl, requests and the router. */
export function actions(kubectl: World['kubectl'], api: ClusterRequests, routerUrl: string) {
  return {
    routerUrl,
    api,
    kubectl,
    apply: (...objects: readonly unknown[]) =>
      kubectl(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n')),
    predict: (...[service, model, options]: Parameters<World['predict']>) =>
      predict(routerUrl, service, model, options),
    async readiness(model: string) {
      const path = `/apis/serving.kserve.io/v1alpha1/namespaces/default/trainedmodels/${model}`;
      const { status } = await api.get<{ status?: { conditions?: readonly Condition[] } }>(path);
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'True' ? 'True' : (ready?.reason ?? 'unknown');
    },
  };
}

const v1Body = JSON.stringify({ instances: [[1]] });
const v2Body = JSON.stringify({ inputs: [{ name: 'input-0', shape: [1, 1], datatype: 'FP32', data: [1] }] });

async function predict(
  routerUrl: string,
  service: string,
  model: string,
  { protocol = 'v2', prefix = false }: { protocol?: 'v1' | 'v2'; prefix?: boolean } = {},
): Promise<Prediction> {
  const path = protocol === 'v1' ? `/v1/models/${model}:predict` : `/v2/models/${model}/infer`;
  const response = await request(`${routerUrl}${prefix ? `/serving/default/${service}` : ''}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(prefix ? {} : { host: `${service}-default.example.com` }),
    },
    body: protocol === 'v1' ? v1Body : v2Body,
  });
  const text = await response.body.text();
  const reason = response.headers['x-roundhouse-reason'];
  return {
    status: response.statusCode,
    text,
    reason: typeof reason === 'string' ? reason : undefined,
    value: response.statusCode === 200 ? firstNumber(text) : undefined,
  };
}

function firstNumber(text: string): number | undefined {
  const answer: { predictions?: readonly unknown[]; outputs?: readonly { data: readonly unknown[] }[] } =
    JSON.parse(text);
  let value: unknown = answer.predictions ?? answer.outputs?.[0]?.data;
  while (Array.isArray(value)) value = value[0];
  return typeof value === 'number' ? value : undefined;
}

/** Polls until `condition` gives a value; rejects with what it last gave after `timeoutMs`. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined | false>,
  timeoutMs = 15_000,
  everyMs = 20,
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`gave up waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
