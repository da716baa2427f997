import type { Layout } from './layout.ts';

/** An answer of a model server, read whole. */
export type Answer = { readonly status: number; readonly text: string };

/** One model as the server lists it. */
export type ListedModel = { readonly name: string; readonly ready: boolean; readonly reason: string | undefined };

export type DialectName = 'embedded' | 'v2' | 'kserve' | 'mlserver' | 'triton';

/**
 * What sets one kind of model server apart from the others, as data: nobody outside asks "is this Triton?", they ask the
 * dialect. The calls themselves are made by `openModelServer`.
 */
export type Dialect = {
  readonly name: DialectName;
  /** Protocols that it serves predictions in. */
  readonly protocols: { readonly v1: boolean; readonly v2: boolean; readonly grpc: boolean };
  /** The call that lists models, and how to read its answer; undefined: only "is this one ready?" can be asked. */
  readonly listing: Listing | undefined;
  /** Path of the question whether the server is up. It must not depend on the health of any one model. */
  readonly livePath: string;
  /** A load answers when the model is ready. An asynchronous unload is done when the listing no longer has it ready. */
  readonly unloadIsSynchronous: boolean;
  /** An unload of a model that is not there counts as done: which answer says so. */
  isNotThere(answer: Answer): boolean;
  /** A refused load that may succeed later as it is; others are the model's own fault. */
  isTransient(answer: Answer): boolean;
  /** A load refused for want of memory: it may succeed once another model is gone. */
  isFull(answer: Answer): boolean;
  /** Why the server could not hold a model of this name; undefined when it could. */
  refusesName(name: string): string | undefined;
  /** Takes an inference request without `Content-Type` for something else than JSON. */
  readonly wantsContentType: boolean;
  /** A file of each model's directory that the server reads for all models at each load, wherever it finds one. */
  readonly readsAtEachLoad: string | undefined;
  /** How a model's directory must look; undefined: as the artifact is. */
  readonly layout: Layout | undefined;
};

export type Listing = {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  /** Throws when the answer is none. */
  parse(text: string): readonly ListedModel[];
};
