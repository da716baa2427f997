import { type Clock, CodedError } from '@roundhouse/base';
import type { Names } from '@roundhouse/crds';
import type { Api } from '@roundhouse/local-cluster';
import type { ClusterObject } from '../cluster-client.ts';
import { type ModelStatus, modelStatus } from '../commands/status.ts';

/** First starts on a slow disk take a few seconds; what takes longer than this needs a person. */
const readyMsMax = 120_000;

export function modelsOf(api: Api, { trainedModels }: Names): ModelStatus[] {
  return api.list(trainedModels).items.map((object) => modelStatus(object as unknown as ClusterObject));
}

/** Calls `changed` at once and after every change of a model, until `signal` aborts. */
export function watchModels(
  api: Api,
  names: Names,
  changed: (models: readonly ModelStatus[]) => void,
  signal: AbortSignal,
): void {
  const { trainedModels } = names;
  const { resourceVersion } = api.list(trainedModels);
  const end = api.watch(trainedModels, { resourceVersion }, () => changed(modelsOf(api, names)));
  signal.addEventListener('abort', end, { once: true });
  changed(modelsOf(api, names));
}

/**
 * Resolves once each of the named models is ready; models that somebody deleted meanwhile are not waited for. Throws
 * `cli/not-ready` with every model's own reason when that takes too long.
 */
export async function untilReady(
  { api, clock, names }: { readonly api: Api; readonly clock: Clock; readonly names: Names },
  wantedModels: readonly string[],
  progress: (ready: number, total: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const deadline = clock.monotonic() + readyMsMax;
  let reported = -1;
  for (;;) {
    const wanted = modelsOf(api, names).filter(({ namespace, name }) => wantedModels.includes(`${namespace}/${name}`));
    const waiting = wanted.filter(({ ready }) => !ready);
    const ready = wanted.length - waiting.length;
    if (ready !== reported) progress(ready, wanted.length);
    reported = ready;
    if (waiting.length === 0) return;
    if (clock.monotonic() > deadline) {
      const reasons = waiting.map(({ name, reason }) => `${name}: ${reason}`).join('\n  ');
      throw new CodedError(
        'cli/not-ready',
        `after ${readyMsMax / 1000} s these models are not ready:\n  ${reasons}\n"roundhouse logs MODEL" tells more`,
      );
    }
    await clock.sleep(10, signal);
  }
}
