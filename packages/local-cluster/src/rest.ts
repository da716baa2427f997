import type { FieldValidation } from './admission.ts';
import type { KubeObject } from './api.ts';
import type { Json } from './json.ts';
import type { Kind, Kinds, KindVersion } from './kinds.ts';
import type { Store } from './store.ts';

export type WriteOptions = {
  readonly dryRun?: boolean;
  readonly fieldValidation?: FieldValidation;
  readonly subresource?: 'status' | undefined;
};

export type Written = { readonly object: KubeObject; readonly warnings: readonly string[] };

export type DeleteOptions = {
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan' | undefined;
  readonly gracePeriodSeconds?: number | undefined;
  readonly dryRun?: boolean;
};

/** What a request asks of a kind; the HTTP server and the `Api` are two faces of it. */
export type Rest = {
  readonly kinds: Kinds;
  readonly store: Store;
  /** The stored form. Throws 404. */
  read(kind: Kind, namespace: string, name: string): KubeObject;
  create(kind: Kind, version: KindVersion, object: Json, options?: WriteOptions): Written;
  update(kind: Kind, version: KindVersion, object: Json, options?: WriteOptions): Written;
  /** Throws 404. `isGone` when nothing holds the object back. */
  remove(kind: Kind, namespace: string, name: string, options?: DeleteOptions): { object: KubeObject; isGone: boolean };
};
