import { randomUUID } from 'node:crypto';
import { type Clock, type Random, timestamp } from '@roundhouse/base';
import { admit, type FieldValidation } from './admission.ts';
import { ApiError, type KubeObject } from './api.ts';
import { qosClassOf } from './builtin-rules.ts';
import { definitionFinalizer, establishedStatus } from './definitions.ts';
import { fieldError } from './field-errors.ts';
import { asJson, asList, copyOf, type Json, same } from './json.ts';
import { type Kind, type Kinds, type KindVersion, served, stored } from './kinds.ts';
import { alreadyExists, badRequest, conflict, forbidden, invalid, notFound } from './status.ts';
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

type Deps = { readonly store: Store; readonly clock: Clock; readonly random: Random; readonly kinds: Kinds };

export const definitionsKey = 'apiextensions.k8s.io/customresourcedefinitions';

export function createRest({ store, clock, random, kinds }: Deps): Rest {
  const now = () => timestamp(clock.now());

  const read: Rest['read'] = (kind, namespace, name) => {
    const object = store.get(kind.key, namespace, name);
    if (object) return object;
    throw notFound(kind, name);
  };

  const save = (kind: Kind, object: Json, isDryRun: boolean): KubeObject => {
    // apiVersion, kind and metadata first, as people expect to read it.
    const { apiVersion, kind: name, metadata, ...rest } = stored(kind, object);
    const inStore = (revision: object) =>
      ({ apiVersion, kind: name, metadata: { ...asJson(metadata), ...revision }, ...rest }) as unknown as KubeObject;
    return isDryRun ? inStore({}) : store.put(kind.key, (revision) => inStore({ resourceVersion: String(revision) }));
  };

  const create: Rest['create'] = (kind, version, object, { dryRun = false, fieldValidation = 'Ignore' } = {}) => {
    const metadata = asJson(object.metadata);
    if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
    object.metadata = metadata;
    for (const field of ownedByServer) delete metadata[field];
    if (!metadata.name && metadata.generateName) metadata.name = generatedName(String(metadata.generateName), random);
    if (kind.namespaced) requireNamespace(kind, store, metadata);
    else delete metadata.namespace;
    if (version.status) delete object.status;
    const warnings = admit(kind, version, object, undefined, { random, fieldValidation });
    if (kind.initialStatus) object.status = { ...kind.initialStatus };
    if (kind.key === '/pods') asJson(object.status).qosClass = qosClassOf(object.spec);
    if (kind.key === definitionsKey) object.status = establishedStatus(object, now());
    Object.assign(metadata, { uid: randomUUID(), creationTimestamp: now() }, kind.hasGeneration && { generation: 1 });
    const name = String(metadata.name);
    if (store.get(kind.key, String(metadata.namespace ?? ''), name)) throw alreadyExists(kind, name);
    return { object: served(kind, version.name, save(kind, object, dryRun)), warnings };
  };

  const update: Rest['update'] = (kind, version, object, options = {}) => {
    const { dryRun = false, fieldValidation = 'Ignore', subresource } = options;
    const { name, namespace = '', uid, resourceVersion } = asJson(object.metadata);
    const current = read(kind, String(namespace), String(name));
    const old = copyOf(served(kind, version.name, current)) as Json;
    requireSame(kind, current, 'uid', uid);
    if (
      resourceVersion !== undefined &&
      resourceVersion !== '' &&
      resourceVersion !== current.metadata.resourceVersion
    ) {
      const why = 'the object has been modified; please apply your changes to the latest version and try again';
      throw conflict(kind, String(name), why);
    }
    const next = subresource === 'status' ? { ...old, status: object.status } : merged(kind, version, object, old);
    const warnings = admit(kind, version, next, old, { random, fieldValidation });
    const counted = ({ metadata: _metadata, status, ...rest }: Json) => (version.status ? rest : { ...rest, status });
    if (kind.hasGeneration && !same(counted(next), counted(old))) {
      asJson(next.metadata).generation = Number(current.metadata.generation ?? 0) + 1;
    }
    if (kind.key === definitionsKey && subresource !== 'status') next.status = establishedStatus(next, now());
    if (same(next, old)) return { object: served(kind, version.name, current), warnings };
    if (!isReleased(next)) return { object: served(kind, version.name, save(kind, next, dryRun)), warnings };
    if (!dryRun) store.remove(kind.key, stored(kind, next) as KubeObject);
    return { object: next as KubeObject, warnings };
  };

  const remove: Rest['remove'] = (kind, namespace, name, options = {}) => {
    const current = read(kind, namespace, name);
    requireSame(kind, current, 'uid', options.uid);
    requireSame(kind, current, 'resourceVersion', options.resourceVersion);
    const next = copyOf(current) as Json;
    const metadata = asJson(next.metadata);
    const finalizers = finalizersFor(kind, current, options.propagation);
    const asked = graceSecondsFor(kind, current, options.gracePeriodSeconds);
    const left = metadata.deletionTimestamp ? Number(metadata.deletionGracePeriodSeconds ?? 0) : asked;
    const graceSeconds = Math.min(asked, left);
    if (finalizers.length > 0) metadata.finalizers = finalizers;
    else delete metadata.finalizers;
    if (!metadata.deletionTimestamp || graceSeconds < left) {
      metadata.deletionTimestamp = timestamp(clock.now() + graceSeconds * 1000);
      metadata.deletionGracePeriodSeconds = graceSeconds;
      if (metadata.generation !== undefined) metadata.generation = Number(metadata.generation) + 1;
      if (kind.key === '/namespaces') next.status = { ...asJson(next.status), phase: 'Terminating' };
    }
    const isGone = isReleased(next);
    if (options.dryRun) return { object: current, isGone };
    if (isGone) store.remove(kind.key, current);
    else if (!same(next, current)) return { object: save(kind, next, false), isGone };
    return { object: current, isGone };
  };

  return { kinds, store, read, create, update, remove };
}

/** Fields of the metadata that clients may send and that are not theirs to set. */
const ownedByServer = [
  ...['uid', 'creationTimestamp', 'deletionTimestamp', 'deletionGracePeriodSeconds', 'generation'],
  ...['selfLink', 'managedFields', 'resourceVersion'],
];

/** Without vowels and look-alikes, so that generated names spell nothing. */
const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

export function generatedName(prefix: string, random: Random): string {
  const letters = Array.from({ length: 5 }, () => nameAlphabet[Math.floor(random() * nameAlphabet.length)]);
  return `${prefix.slice(0, 58)}${letters.join('')}`;
}

/** Whether nothing keeps an object that is being deleted. */
function isReleased({ kind, metadata, spec }: Json): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers } = asJson(metadata);
  const holds = [...asList(finalizers), ...(kind === 'Namespace' ? asList(asJson(spec).finalizers) : [])];
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && holds.length === 0;
}

function requireNamespace(kind: Kind, store: Store, metadata: Json): void {
  const name = String(metadata.namespace ?? '');
  if (name === '') throw badRequest('an empty namespace may not be set during creation');
  const namespace = store.get('/namespaces', '', name);
  if (!namespace) throw new ApiError(404, 'NotFound', `namespaces "${name}" not found`, { name, kind: 'namespaces' });
  if (!namespace.metadata.deletionTimestamp) return;
  const why = `unable to create new content in namespace ${name} because it is being terminated`;
  throw forbidden(kind, String(metadata.name), why, [
    { reason: 'NamespaceTerminating', message: `namespace ${name} is being terminated`, field: 'metadata.namespace' },
  ]);
}

function requireSame(kind: Kind, { metadata }: KubeObject, field: 'uid' | 'resourceVersion', wanted: unknown): void {
  if (wanted === undefined || wanted === metadata[field]) return;
  const title = field === 'uid' ? 'UID' : 'ResourceVersion';
  const why = `Precondition failed: ${title} in precondition: ${wanted}, ${title} in object meta: ${metadata[field]}`;
  throw conflict(kind, metadata.name, why);
}

/** The object to store: what the client may write of it over what it may not. */
function merged(kind: Kind, version: KindVersion, sent: Json, old: Json): Json {
  const before = asJson(old.metadata);
  const metadata = { ...asJson(sent.metadata) };
  const isBlind = kind.custom && !metadata.resourceVersion;
  for (const field of [...ownedByServer, 'generateName']) {
    if (before[field] === undefined) delete metadata[field];
    else metadata[field] = before[field];
  }
  if (isBlind) delete metadata.resourceVersion;
  const added = asList(metadata.finalizers).filter((item) => !asList(before.finalizers).includes(item));
  if (before.deletionTimestamp !== undefined && added.length > 0) {
    const list = added.map((item) => JSON.stringify(item)).join(', ');
    const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
    throw invalid(kind, String(metadata.name), [fieldError.forbidden('metadata.finalizers', why)]);
  }
  for (const field of ['finalizers', 'ownerReferences', 'labels', 'annotations']) {
    const value = metadata[field];
    if (value === null || (Array.isArray(value) && value.length === 0)) delete metadata[field];
  }
  const { status: _status, ...rest } = sent;
  if (!version.status) return { ...sent, metadata };
  return { ...rest, metadata, ...(old.status !== undefined && { status: old.status }) };
}

function finalizersFor(kind: Kind, current: KubeObject, propagation: DeleteOptions['propagation']): readonly string[] {
  const finalizers = new Set(current.metadata.finalizers ?? []);
  if (kind.key === definitionsKey) finalizers.add(definitionFinalizer);
  if (propagation === undefined) return [...finalizers];
  finalizers.delete('orphan');
  finalizers.delete('foregroundDeletion');
  if (propagation === 'Orphan') finalizers.add('orphan');
  if (propagation === 'Foreground') finalizers.add('foregroundDeletion');
  return [...finalizers];
}

/** Only Pods end gracefully, and only those that a node may be running. */
function graceSecondsFor(kind: Kind, { spec, status }: KubeObject, asked: number | undefined): number {
  const { nodeName, terminationGracePeriodSeconds = 30 } = asJson(spec);
  const { phase } = asJson(status);
  if (kind.key !== '/pods' || !nodeName || phase === 'Succeeded' || phase === 'Failed') return 0;
  return Math.max(0, asked ?? Number(terminationGracePeriodSeconds));
}
