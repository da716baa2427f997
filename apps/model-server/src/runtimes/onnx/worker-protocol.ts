import type { Tensor, TensorMetadata } from '@roundhouse/v2-protocol';

/** What the server asks a worker thread to do; each call is answered under its own `id`. */
export type Call =
  | { readonly id: number; readonly kind: 'open'; readonly session: number; readonly path: string }
  | {
      readonly id: number;
      readonly kind: 'run';
      readonly session: number;
      readonly inputs: readonly Tensor[];
      readonly wanted: readonly string[];
    }
  | { readonly id: number; readonly kind: 'close'; readonly session: number };

export type Opened = { readonly inputs: readonly TensorMetadata[]; readonly outputs: readonly TensorMetadata[] };

/** Errors lose their class between threads, so their code travels beside the message. */
export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly code: string; readonly message: string };
