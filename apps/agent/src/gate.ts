import type { Clock } from '@roundhouse/base';
import type { Entry, Keeper } from './keeper.ts';
import { stateOf } from './plan.ts';

/** What becomes of a request to a model. */
export type Verdict =
  /** `entry` is undefined for requests that name no model, and without the puller. */
  | { readonly kind: 'send'; readonly entry: Entry | undefined }
  /** It will probably answer soon. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'refuse'; readonly refusal: Refused };

export type Refused = {
  readonly status: 404 | 503;
  /** CamelCase. */
  readonly reason: string;
  readonly message: string;
  /** Another replica may have it: the router is to try there. */
  readonly notHere: boolean;
  readonly retryAfterS: number | undefined;
};

/** Whom a wait ends for: the verdict is asked again, and the last one comes in any case. */
export type Waiting = { readonly model: string; end(verdict: Exclude<Verdict, { kind: 'wait' }>): void };

/** Long enough for a server container to restart and a middling model to load. */
const waitMs = 30_000;
/** A second of heavy traffic to a server that restarts; each holds a connection and up to 64 KiB of body. */
const waitingMax = 1_000;
const retryAfterMaxS = 60;

export type GateDeps = {
  readonly clock: Clock;
  readonly keeper: Pick<Keeper, 'entry' | 'serverUp' | 'told'>;
  /** Whether models are kept at all. Without, everything is the server's business. */
  readonly keeps: boolean;
};

/** Decides for each request whether it may go to the server now, and holds those that wait for their model or the server. */
export function createGate({ clock, keeper, keeps }: GateDeps) {
  const waiting = new Map<Waiting, () => void>();

  function judge(model: string): Verdict {
    if (model === '' || !keeps) return keeper.serverUp ? { kind: 'send', entry: undefined } : wait;
    const entry = keeper.entry(model) as Entry | undefined;
    if (entry === undefined) return keeper.told ? notHere(model) : wait;
    if (keeper.told && entry.wanted === undefined) return notHere(model);
    if (entry.loaded !== undefined) return keeper.serverUp ? { kind: 'send', entry } : wait;
    const state = stateOf(entry);
    return state === 'download-failed' || state === 'load-failed' ? failed(entry) : wait;
  }

  function failed({ name, failure, placed }: Entry): Verdict {
    if (!keeper.serverUp && placed !== undefined) return wait; // an older version will be back with the server
    const leftMs = (failure?.retryAtMs ?? 0) - clock.monotonic();
    const retryAfterS = Math.min(retryAfterMaxS, Math.max(1, Math.ceil(leftMs / 1000)));
    const message = `model ${name} is not loaded: ${failure?.reason ?? 'it failed'}`;
    return refuse({ status: 503, reason: 'ModelFailed', message, notHere: true, retryAfterS });
  }

  function review(test: (model: string) => boolean) {
    for (const [waiter, done] of waiting) {
      if (!test(waiter.model)) continue;
      const verdict = judge(waiter.model);
      if (verdict.kind === 'wait') continue;
      done();
      waiter.end(verdict);
    }
  }

  return {
    /** The verdict for a request to `model`; '' when it names none. */
    judge,

    /** Holds a request whose verdict was to wait; true, or the refusal when too many wait already. */
    hold(waiter: Waiting): true | Refused {
      if (waiting.size >= waitingMax) return tooLate(waiter.model, 'too many requests wait already');
      const cancel = clock.after(waitMs, () => {
        waiting.delete(waiter);
        waiter.end(refuse(tooLate(waiter.model, 'it took too long')));
      });
      waiting.set(waiter, () => {
        cancel();
        waiting.delete(waiter);
      });
      return true;
    },
    /** The client of a held request went away. */
    release: (waiter: Waiting) => waiting.get(waiter)?.(),

    /** Asks again for those that wait for `model`. */
    modelChanged: (model: string) => review((name) => name === model),
    serverChanged: () => review(() => true),
    get waiting() {
      return waiting.size;
    },
  };
}

const wait: Verdict = { kind: 'wait' };
const refuse = (refusal: Refused) => ({ kind: 'refuse', refusal }) as const;

function notHere(model: string): Verdict {
  const message = `model ${model} is not found`;
  return refuse({ status: 404, reason: 'ModelNotFound', message, notHere: true, retryAfterS: undefined });
}

function tooLate(model: string, why: string): Refused {
  const subject = model === '' ? 'the model server' : `model ${model}`;
  return { status: 503, reason: 'NotLoadedYet', message: `${subject} is not ready: ${why}`, notHere: true, retryAfterS: 1 };
}
