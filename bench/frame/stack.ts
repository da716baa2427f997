import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  aService,
  type ClusterRequests,
  clusterRequests,
  constantModel,
  inferenceServices,
  type Stack,
  startStack,
} from '@roundhouse/testkit';

export const checkout = join(import.meta.dirname, '../..');

/** A stack with one empty service `fleet` and a folder for artifacts. */
export type Fleet = {
  readonly stack: Stack;
  readonly api: ClusterRequests;
  readonly host: string;
  /** Writes an artifact that answers `value`; returns its URI. */
  artifact(name: string, value: number): string;
  close(): Promise<void>;
};

export async function openFleet(): Promise<Fleet> {
  const models = mkdtempSync(join(tmpdir(), 'roundhouse-bench-'));
  const stack = await startStack({ checkout, args: ['--no-examples', '--file-root', models] });
  const api = clusterRequests(stack);
  await api.post(inferenceServices, aService('fleet'));
  await until('the service is ready', async () => {
    const { status } = await api.get<WithConditions>(`${inferenceServices}/fleet`);
    return status?.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
  });
  return {
    stack,
    api,
    host: 'fleet-default.example.com',
    artifact(name, value) {
      mkdirSync(join(models, name), { recursive: true });
      writeFileSync(join(models, name, 'model.json'), constantModel(value));
      return `file://${join(models, name)}`;
    },
    async close() {
      await stack.stop();
      rmSync(models, { recursive: true, force: true });
    },
  };
}

type WithConditions = {
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
};

/** Polls `condition` every `everyMs` until it holds; rejects after a minute, which no figure of ours comes near. */
export async function until(what: string, condition: () => Promise<boolean>, everyMs = 5): Promise<void> {
  const deadline = performance.now() + 60_000;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`gave up waiting: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
