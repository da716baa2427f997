import type { wire } from '@roundhouse/control-protocol';
import { annotations, bytesOf } from '@roundhouse/crds';

/** What routers are told of a service besides where it is. */
export type Traffic = Pick<wire.ServiceRoute, 'v1' | 'v2' | 'grpc' | 'limits' | 'auth'>;

type Notes = Readonly<Record<string, string>>;
type Limits = NonNullable<wire.ServiceRoute['limits']>;

/** Of an annotation: its value, undefined when it is not there, or `unreadable`. */
type Reading<Value> = (text: string) => Value | undefined;

const whole: Reading<number> = (text) => (/^\d{1,9}$/.test(text) ? Number(text) : undefined);
const positive: Reading<number> = (text) => whole(text) || undefined;
const bytes: Reading<bigint> = (text) => {
  const size = bytesOf(text) ?? 0;
  return size > 0 ? BigInt(size) : undefined;
};
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000 };
const duration: Reading<number> = (text) => {
  const [, count, unit = ''] = /^([1-9]\d{0,5})(ms|s|m)$/.exec(text) ?? [];
  return count === undefined ? undefined : Number(count) * unitMs[unit]!;
};

const readings = {
  concurrency: [annotations.concurrency, positive],
  modelConcurrency: [annotations.modelConcurrency, positive],
  queue: [annotations.queue, whole],
  bodyBytes: [annotations.maxBody, bytes],
  timeoutMs: [annotations.timeout, duration],
} as const;

/**
 * From the service's annotations, KServe's `spec.predictor.timeout` (seconds), and what the runtime says that it speaks; one
 * that says nothing is sent both protocols. Who may come in is handed on as it stands: routers refuse all where they cannot read it.
 */
export function trafficFor(notes: Notes, timeoutS: unknown, protocols: readonly string[] | undefined): Traffic {
  const limits: Record<string, number | bigint> = {};
  if (typeof timeoutS === 'number' && timeoutS > 0) limits.timeoutMs = timeoutS * 1_000;
  for (const [name, [note, read]] of Object.entries(readings)) {
    const value = notes[note] === undefined ? undefined : read(notes[note].trim());
    if (value !== undefined) limits[name] = value;
  }
  const speaks = (...names: string[]) => !protocols?.length || names.some((name) => protocols.includes(name));
  return {
    ...{ v1: speaks('v1'), v2: speaks('v2', 'grpc-v2'), grpc: speaks('v2', 'grpc-v2') },
    ...(Object.keys(limits).length > 0 && { limits: limits as unknown as Limits }),
    auth: (notes[annotations.auth] ?? '').split(',').flatMap((method) => method.trim() || []),
  };
}

/** Annotations that cannot be read, and so have no effect. */
export function unreadableIn(notes: Notes): readonly string[] {
  return Object.values(readings).flatMap(([note, read]) =>
    notes[note] !== undefined && read(notes[note].trim()) === undefined
      ? `the annotation ${note}: "${notes[note]}"`
      : [],
  );
}
