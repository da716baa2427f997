import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, messageOf, systemCodeOf } from '@roundhouse/base';
import { parseModels } from '@roundhouse/crds';
import type { Log } from '@roundhouse/telemetry';
import type { WantedModel } from './model.ts';

/** `models.json`, and `models-1.json` to `models-15.json` beside it. */
const shardPattern = /^models(-\d{1,2})?\.json$/;
/** Where nothing can be watched, or the directory is not there yet, it is looked at this often. */
const lookMs = 1_000;

export type MountedModels = {
  /** Undefined while no shard is there: that says nothing about what to hold. */
  readonly models: ReadonlyMap<string, WantedModel> | undefined;
  run(signal: AbortSignal): Promise<void>;
};

/** Reads a ConfigMap's files below `directory`, again whenever the kubelet has swapped its `..data`. */
export async function openMounted(
  { clock, log, onChange }: { readonly clock: Clock; readonly log: Log; readonly onChange: () => void },
  directory: string,
): Promise<MountedModels> {
  let models: ReadonlyMap<string, WantedModel> | undefined;
  let textBefore = '';
  let wakeUp: (() => void) | undefined;

  async function read() {
    const shards = (await readdir(directory).catch(() => [])).filter((name) => shardPattern.test(name)).sort();
    try {
      const texts = await Promise.all(shards.map((name) => readFile(join(directory, name), 'utf8')));
      const text = JSON.stringify([shards, texts]);
      if (text === textBefore) return;
      textBefore = text;
      models = shards.length === 0 ? undefined : new Map(texts.flatMap(parseShard).map((model) => [model.name, model]));
      onChange();
    } catch (error) {
      // A swap between the two reads: look again. Or what is written is wrong: what was read before holds.
      if (systemCodeOf(error) === undefined)
        log.warn({ reason: messageOf(error) }, 'the mounted models cannot be read');
    }
  }

  const pause = (ms: number, signal: AbortSignal) =>
    new Promise<void>((resolve) => {
      const done = () => {
        cancel();
        signal.removeEventListener('abort', done);
        wakeUp = undefined;
        resolve();
      };
      const cancel = clock.after(ms, done);
      signal.addEventListener('abort', done, { once: true });
      wakeUp = done;
    });

  await read();
  return {
    get models() {
      return models;
    },
    async run(signal) {
      let watcher: FSWatcher | undefined;
      signal.addEventListener('abort', () => watcher?.close(), { once: true });
      while (!signal.aborted) {
        watcher ??= watchDirectory(
          directory,
          () => wakeUp?.(),
          () => {
            watcher = undefined;
          },
        );
        await pause(lookMs, signal);
        await read();
      }
    },
  };
}

function watchDirectory(directory: string, onEvent: () => void, onError: () => void): FSWatcher | undefined {
  try {
    return watch(directory, { persistent: false }, onEvent).once('error', onError);
  } catch {
    return undefined; // not there yet
  }
}

function parseShard(text: string): WantedModel[] {
  return parseModels(text).map(({ modelName, modelSpec: { storageUri, framework, memory } }) => ({
    name: modelName,
    storageUri,
    framework,
    memory,
    sha256: undefined,
    secret: undefined,
    digest: `mounted:${JSON.stringify([storageUri, framework, memory])}`,
  }));
}
