import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { clusterRequests, constantModel, type Stack, startStack } from '@roundhouse/testkit';
import { request } from 'undici';
import { kubectlPath } from '../../tools/kubectl.ts';

export const checkout = join(import.meta.dirname, '../..');

export type Prediction = {
  readonly status: number;
  readonly text: string;
  readonly reason: string | undefined;
  /** The first number of a V1 or V2 answer. */
  readonly value: number | undefined;
};

/** A running stack with a folder of models, a kubectl, and the requests that scenarios make. */
export type World = {
  readonly stack: Stack;
  readonly api: ReturnType<typeof clusterRequests>;
  /** Runs kubectl; `input` goes to standard input. Rejects with its standard error in the message. */
  kubectl(args: readonly string[], input?: string): Promise<string>;
  /** Applies manifests given as objects, with the real kubectl. */
  apply(...objects: readonly unknown[]): Promise<string>;
  /** Writes a model that answers `value`, and returns its `file://` URI. */
  artifact(name: string, value: number): string;
  predict(service: string, model: string, options?: { protocol?: 'v1' | 'v2'; prefix?: boolean }): Promise<Prediction>;
  /** The Ready condition of a model: `True`, or the reason why not. */
  readiness(model: string): Promise<string>;
  close(): Promise<void>;
};

export type WorldOptions = { readonly env?: Readonly<Record<string, string>>; readonly dataDirectory?: string };

export async function openWorld({ env, dataDirectory }: WorldOptions = {}): Promise<World> {
  const models = mkdtempSync(join(tmpdir(), 'roundhouse-models-'));
  const [kubectl, stack] = await Promise.all([
    kubectlPath(),
    startStack({
      checkout,
      args: ['--no-examples', '--file-root', models],
      ...(env && { env: { ...process.env, ...env } }),
      ...(dataDirectory && { dataDirectory }),
    }),
  ]);
  const api = clusterRequests(stack);
  const run = kubectlRunner(kubectl, stack.kubeconfig);
  return {
    stack,
    api,
    kubectl: run,
    apply: (...objects) => run(['apply', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n')),
    artifact(name, value) {
      mkdirSync(join(models, name), { recursive: true });
      writeFileSync(join(models, name, 'model.json'), constantModel(value));
      return `file://${join(models, name)}`;
    },
    predict: (service, model, options) => predict(stack.routerUrl, service, model, options),
    async readiness(model) {
      const path = `/apis/serving.kserve.io/v1alpha1/namespaces/default/trainedmodels/${model}`;
      const { status } = await api.get<{ status?: { conditions?: readonly Condition[] } }>(path);
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'True' ? 'True' : (ready?.reason ?? 'unknown');
    },
    async close() {
      await stack.stop();
      rmSync(models, { recursive: true, force: true });
    },
  };
}

export type Condition = {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
};

function kubectlRunner(file: string, kubeconfig: string): World['kubectl'] {
  return async (args, input) => {
    const running = promisify(execFile)(file, [...args], {
      env: { ...process.env, KUBECONFIG: kubeconfig },
      maxBuffer: 64 * 2 ** 20,
    });
    running.child.stdin?.on('error', () => {}); // it may end before it reads what it does not need
    running.child.stdin?.end(input ?? '');
    const { stdout } = await running;
    return stdout;
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
): Promise<T> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== false) return value;
    if (performance.now() > deadline) throw new Error(`gave up waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
