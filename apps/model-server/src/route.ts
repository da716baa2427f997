import type { Clock } from '@roundhouse/base';
import { invalid, isRecord, type Limits, parseJson, textOf } from '@roundhouse/v2-protocol';
import type { Codec } from './codec.ts';
import type { Counters } from './counters.ts';
import type { Inference } from './inference.ts';
import type { Repository } from './repository.ts';
import type { Pool } from './threads/pool.ts';

export type ServeDeps = {
  readonly repository: Repository;
  readonly inference: Inference;
  readonly codec: Codec;
  readonly pool: Pick<Pool, 'ask'>;
  readonly counters: Counters;
  readonly clock: Clock;
  /** Largest request, over REST before and after decompression. */
  readonly bodyBytesMax: number;
  readonly limits: Limits;
};

/** One request, as far as a handler needs it. */
export type Exchange = {
  readonly params: Readonly<Record<string, string>>;
  readonly body: Buffer;
  readonly jsonLength: string | undefined;
};

/** JSON text or an object to be written as JSON; `jsonLength` goes into a header when bytes follow the JSON. */
export type Answer =
  | { readonly json: unknown }
  | { readonly body: string | Uint8Array; readonly jsonLength?: number | undefined; readonly contentType?: string };

export type Route = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly handle: (exchange: Exchange) => Answer | Promise<Answer>;
};

/** A body that may be left out: clients post nothing, or `{}`. */
export function optionalJson({ body }: Exchange): Readonly<Record<string, unknown>> {
  if (body.length === 0) return {};
  const value = parseJson(textOf(body, 'the request'));
  if (!isRecord(value)) throw invalid('the request is not a JSON object');
  return value;
}
