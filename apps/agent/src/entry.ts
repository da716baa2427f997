import type { ModelFacts } from './plan.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One model in the table. Only the keeper writes it. */
export type Entry = Mutable<ModelFacts> & {
  readonly name: string;
  inFlight: number;
  /** That are over since the controller was last told, and how many of them failed. */
  requests: number;
  errors: number;
  /** Of the download under way. */
  bytesDone: number;
  bytesTotal: number;
  /** The keeper's own. */
  readonly own: Own;
};

type Own = {
  /** A crash left it open which version the server has. */
  uncertain: boolean;
  abort: AbortController | undefined;
  cancelTimer: (() => void) | undefined;
  onIdle: (() => void) | undefined;
  /** Count of changes when the server last answered a load or unload of this model. */
  touched: number;
  told: string;
};

export function emptyEntry(name: string): Entry {
  const own: Own = {
    uncertain: false,
    abort: undefined,
    cancelTimer: undefined,
    onIdle: undefined,
    touched: 0,
    told: '',
  };
  return {
    name,
    wanted: undefined,
    ready: undefined,
    placed: undefined,
    loaded: undefined,
    activity: undefined,
    givenUp: undefined,
    failure: undefined,
    inFlight: 0,
    requests: 0,
    errors: 0,
    bytesDone: 0,
    bytesTotal: 0,
    own,
  };
}

/** A request to the model starts. */
export function enter(entry: Entry): void {
  entry.inFlight++;
}

/** A request to the model is over. */
export function leave(entry: Entry, failed: boolean): void {
  entry.requests++;
  if (failed) entry.errors++;
  if (--entry.inFlight === 0) entry.own.onIdle?.();
}
