import type { Timing } from './trial.ts';

/** What the server asks a probe to do: load the file at this path, and try it. One question at a time. */
export type ProbeQuestion = { readonly path: string };

/** `loaded` comes first, then `tried`; `refused` instead of both. A probe that ends without an answer was crashed by the file. */
export type ProbeAnswer =
  | { readonly kind: 'refused'; readonly code: string; readonly message: string }
  | { readonly kind: 'loaded'; readonly loadMs: number }
  | { readonly kind: 'tried'; readonly timings: readonly Timing[]; readonly memoryBytes: number };
