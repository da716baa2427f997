import type { Refusal } from '@roundhouse/http-relay';
import type { Entry } from './entry.ts';
import type { Keeper } from './keeper.ts';
import { stateOf } from './plan.ts';

/** What becomes of a request now. */
export type Verdict =
  /** `entry` is undefined for requests that name no model, and where no models are kept. */
  | { readonly kind: 'send'; readonly entry: Entry | undefined }
  /** It will probably answer soon. */
  | { readonly kind: 'wait' }
  | { readonly kind: 'refuse'; readonly refusal: Refusal };

export type GateView = Pick<Keeper, 'entry' | 'serverUp' | 'told'>;

/** Whether a request to the model is sent at once, as nearly all are. `judge` says what becomes of the others. */
export function isOpen(entry: Readonly<Entry> | undefined, { serverUp, told }: GateView): entry is Entry {
  return entry?.loaded !== undefined && serverUp && (entry.wanted !== undefined || !told);
}

const retryAfterMaxS = 60;

/** The verdict for a request to `model`; '' when it names none. */
export function judge(model: string, keeper: GateView, nowMs: number): Verdict {
  if (model === '') return keeper.serverUp ? { kind: 'send', entry: undefined } : wait;
  const entry = keeper.entry(model) as Entry | undefined;
  if (entry === undefined) return keeper.told ? notHere(model) : wait;
  if (keeper.told && entry.wanted === undefined) return notHere(model);
  if (!keeper.serverUp && entry.placed !== undefined) return wait; // it comes back with the server
  if (isOpen(entry, keeper)) return { kind: 'send', entry };
  const state = stateOf(entry);
  return state === 'download-failed' || state === 'load-failed' ? failed(entry, nowMs) : wait;
}

const wait: Verdict = { kind: 'wait' };

function notHere(model: string): Verdict {
  const message = `model ${model} is not found`;
  return { kind: 'refuse', refusal: { status: 404, reason: 'model-not-found', message, notHere: true } };
}

function failed({ name, failure }: Entry, nowMs: number): Verdict {
  const leftMs = (failure?.retryAtMs ?? 0) - nowMs;
  const retryAfterS = Math.min(retryAfterMaxS, Math.max(1, Math.ceil(leftMs / 1000)));
  const message = `model ${name} is not loaded: ${failure?.reason ?? 'it failed'}`;
  return { kind: 'refuse', refusal: { status: 503, reason: 'model-failed', message, notHere: true, retryAfterS } };
}
