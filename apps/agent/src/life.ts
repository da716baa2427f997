import type { Clock } from '@roundhouse/base';
import type { Failure } from './model.ts';

/** Takes one finished line of the log. */
export type WriteLine = (line: string) => void;

/** Each model's life for people who read `kubectl logs`: one plain line per event. */
export type Life = ReturnType<typeof createLife>;

export function createLife({ clock, write }: { readonly clock: Clock; readonly write: WriteLine }) {
  const say = (model: string, text: string) => write(`${new Date(clock.now()).toISOString()} ${model}: ${text}`);
  return {
    downloading: (model: string, uri: string) => say(model, `downloading from ${withoutSecrets(uri)}`),
    downloaded: (model: string, files: number, bytes: number, tookMs: number) =>
      say(model, `downloaded ${files} ${files === 1 ? 'file' : 'files'}, ${bytesText(bytes)} in ${timeText(tookMs)}`),
    cancelled: (model: string) => say(model, 'download stopped: not wanted any more'),
    loaded: (model: string, tookMs: number) => say(model, `loaded in ${timeText(tookMs)}`),
    failed(model: string, failure: Failure, nowMs: number) {
      const { stage, attempt, message, retryAtMs } = failure;
      const next =
        retryAtMs === Number.POSITIVE_INFINITY ? 'not tried again' : `next in ${timeText(retryAtMs - nowMs)}`;
      say(model, `${stage} failed (attempt ${attempt}, ${next}): ${message}`);
    },
    restored: (model: string) => say(model, 'the version before goes on serving'),
    notRestored: (model: string, message: string) => say(model, `the version before does not load either: ${message}`),
    lost: (model: string) => say(model, 'the model server does not have it any more'),
    draining: (model: string, requests: number) =>
      say(model, `waiting for ${requests} ${requests === 1 ? 'request' : 'requests'} before it is unloaded`),
    unloaded: (model: string) => say(model, 'unloaded'),
    unloadFailed: (model: string, message: string) => say(model, `unload failed: ${message}`),
    removed: (model: string) => say(model, 'removed from disk'),
  };
}

/** A storage URI as it may be shown: without user info and query, which carry tokens. */
export function withoutSecrets(uri: string): string {
  return uri.replace(/[?#].*$/s, '').replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/]*@/i, '$1');
}

/** `12 kB`, `3.4 MB`. */
export function bytesText(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = bytes < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 10 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}

/** `3 ms`, `1.3 s`, `4 min`. */
export function timeText(ms: number): string {
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}
