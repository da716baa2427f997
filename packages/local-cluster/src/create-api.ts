import { randomUUID } from 'node:crypto';
import { type Clock, type Random, timestamp } from '@roundhouse/base';
import { admit, rulesOf } from './admission.ts';
import { type Api, ApiError, type KubeObject, type Resource, type TokenIssuer } from './api.ts';
import { customColumns } from './columns.ts';
import { definitionFinalizer, establishedStatus } from './definitions.ts';
import { fieldError } from './field-errors.ts';
import { follow } from './follow.ts';
import { collectGarbage } from './garbage.ts';
import { asJson, asList, copyOf, type Json, same } from './json.ts';
import {
  createKinds,
  type Kind,
  type Kinds,
  type KindVersion,
  kindOfDefinition,
  served,
  splitApiVersion,
  stored,
} from './kinds.ts';
import type { DeleteOptions, Rest } from './rest.ts';
import { schemaFrom } from './schema.ts';
import { alreadyExists, badRequest, conflict, forbidden, invalid, notFound } from './status.ts';
import type { Change, Store } from './store.ts';
import { createTokens, type Tokens } from './tokens.ts';

export type LocalApi = Api & { readonly tokens: TokenIssuer & Tokens; readonly rest: Rest; close(): void };

/** Namespaces that every cluster has. */
const initialNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'];
/** Without vowels and look-alikes, so that generated names spell nothing. */
const nameAlphabet = 'bcdfghjklmnpqrstvwxz2456789';

/** The API over `store`. It works on the store until `close`; one store has one API. */
export function createApi(deps: { readonly store: Store; readonly clock: Clock; readonly random: Random }): LocalApi {
  const { store, clock, random } = deps;
  const kinds = createKinds();
  const kindOf = (resource: Resource): Kind => {
    const kind = kinds.find(resource);
    if (kind) return kind;
    throw new ApiError(404, 'NotFound', 'the server could not find the requested resource');
  };
  const writes = createWrites({ store, clock, random, kinds });
  for (const definition of store.list('apiextensions.k8s.io/customresourcedefinitions', undefined)) {
    define(kinds, definition);
  }
  const stopDefining = store.onChange(({ key, type, object }) => {
    if (key !== 'apiextensions.k8s.io/customresourcedefinitions') return;
    if (type === 'DELETED') kinds.undefine(definedBy(object));
    else define(kinds, object);
  });
  const rest: Rest = { kinds, store, ...writes };
  const stopCollecting = collectGarbage(rest);
  for (const name of initialNamespaces) {
    if (store.get('/namespaces', '', name)) continue;
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    const kind = kindOf({ group: '', resource: 'namespaces' });
    rest.create(kind, preferred(kind), namespace);
  }

  return {
    rest,
    tokens: createTokens({ store, clock }),
    get: (resource, namespace, name) => store.get(kindOf(resource).key, namespace ?? '', name),
    list(resource, { namespace, labels = {} } = {}) {
      const wanted = Object.entries(labels);
      const items = store
        .list(kindOf(resource).key, namespace)
        .filter(({ metadata }) => wanted.every(([key, value]) => metadata.labels?.[key] === value));
      return { items, resourceVersion: String(store.revision) };
    },
    create(resource, object) {
      const kind = kindOf(resource);
      return rest.create(kind, versionFor(kind, object.apiVersion), copyOf<Json>(object)).object;
    },
    update(resource, object, subresource) {
      const kind = kindOf(resource);
      return rest.update(kind, versionFor(kind, object.apiVersion), copyOf<Json>(object), { subresource }).object;
    },
    delete(resource, namespace, name, options) {
      const kind = kindOf(resource);
      if (store.get(kind.key, namespace ?? '', name)) rest.remove(kind, namespace ?? '', name, options);
    },
    watch(resource, { resourceVersion, namespace }, listener) {
      return follow(store, kindOf(resource).key, Number(resourceVersion), ({ type, object }: Change) => {
        if (namespace === undefined || object.metadata.namespace === namespace) listener({ type, object });
      });
    },
    close() {
      stopDefining();
      stopCollecting();
    },
  };
}

function define(kinds: Kinds, definition: KubeObject): void {
  kinds.define(kindOfDefinition(definition, schemaFrom, customColumns));
}

function definedBy(definition: KubeObject): Resource {
  const spec = asJson(definition.spec);
  return { group: String(spec.group), resource: String(asJson(spec.names).plural) };
}

export function preferred(kind: Kind): KindVersion {
  return kind.versions[0] ?? { name: splitApiVersion(kind.storedVersion).version, status: false };
}

function versionFor(kind: Kind, apiVersion: string): KindVersion {
  const { version } = splitApiVersion(apiVersion);
  const found = kind.versions.find(({ name }) => name === version);
  if (found) return found;
  throw badRequest(`no version "${apiVersion}" of ${kind.resource} is served`);
}

type WriteDeps = { readonly store: Store; readonly clock: Clock; readonly random: Random; readonly kinds: Kinds };

function createWrites({ store, clock, random, kinds }: WriteDeps): Pick<Rest, 'read' | 'create' | 'update' | 'remove'> {
  const now = () => timestamp(clock.now());

  const read: Rest['read'] = (kind, namespace, name) => {
    const object = store.get(kind.key, namespace, name);
    if (!object) throw notFound(kind, name);
    return object;
  };

  const save = (kind: Kind, object: Json, isDryRun: boolean): KubeObject => {
    const inStore = stored(kind, object);
    const render = (revision: number): KubeObject => {
      return { ...inStore, metadata: { ...asJson(inStore.metadata), resourceVersion: String(revision) } } as KubeObject;
    };
    return isDryRun ? (inStore as KubeObject) : store.put(kind.key, render);
  };

  const create: Rest['create'] = (kind, version, object, { dryRun = false, fieldValidation = 'Ignore' } = {}) => {
    const metadata = asJson(object.metadata);
    if (metadata.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created');
    object.metadata = metadata;
    stripReadOnly(metadata);
    if (!metadata.name && metadata.generateName) metadata.name = generatedName(String(metadata.generateName), random);
    if (kind.namespaced) requireNamespace(kind, store, metadata, dryRun);
    else delete metadata.namespace;
    const rules = rulesOf(kind);
    if (version.status) delete object.status;
    const warnings = admit(kind, version, object, undefined, { random, fieldValidation });
    if (rules && 'initialStatus' in rules && rules.initialStatus) object.status = rules.initialStatus(object);
    metadata.uid = randomUUID();
    metadata.creationTimestamp = now();
    if (kind.custom || rules?.hasGeneration) metadata.generation = 1;
    if (kind.key === 'apiextensions.k8s.io/customresourcedefinitions') object.status = establishedStatus(object, now());
    const { namespace, name } = metadata;
    if (store.get(kind.key, String(namespace ?? ''), String(name))) throw alreadyExists(kind, String(name));
    const saved = save(kind, ordered(object), dryRun);
    if (kind.key === '/namespaces' && !dryRun) createServiceAccount(String(name));
    return { object: served(kind, version.name, saved), warnings };
  };

  const createServiceAccount = (namespace: string) => {
    const kind = kinds.find({ group: '', resource: 'serviceaccounts' });
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default', namespace } };
    if (kind && !store.get(kind.key, namespace, 'default')) create(kind, preferred(kind), account);
  };

  const update: Rest['update'] = (kind, version, object, options = {}) => {
    const { dryRun = false, fieldValidation = 'Ignore', subresource } = options;
    const sent = asJson(object.metadata);
    const name = String(sent.name);
    const current = read(kind, String(sent.namespace ?? ''), name);
    const old = copyOf(served(kind, version.name, current)) as Json;
    checkPreconditions(kind, current, sent);
    const next = merged(kind, version, object, old, subresource);
    const warnings = admit(kind, version, next, old, { random, fieldValidation });
    const isSameSpec = same(withoutStatus(next, version), withoutStatus(old, version));
    const metadata = asJson(next.metadata);
    if (!isSameSpec && (kind.custom || rulesOf(kind)?.hasGeneration)) {
      metadata.generation = Number(current.metadata.generation ?? 0) + 1;
    }
    if (kind.key === 'apiextensions.k8s.io/customresourcedefinitions' && subresource !== 'status') {
      next.status = establishedStatus(next, now());
    }
    if (same(next, old)) return { object: served(kind, version.name, current), warnings };
    if (isReleased(next)) {
      if (!dryRun) store.remove(kind.key, stored(kind, ordered(next)) as KubeObject);
      return { object: next as KubeObject, warnings };
    }
    return { object: served(kind, version.name, save(kind, ordered(next), dryRun)), warnings };
  };

  const remove: Rest['remove'] = (kind, namespace, name, options = {}) => {
    const current = read(kind, namespace, name);
    checkDeletePreconditions(kind, current, options);
    const next = copyOf(current) as Json;
    const metadata = asJson(next.metadata);
    const finalizers = finalizersFor(kind, current, options.propagation);
    const asked = graceSecondsFor(kind, current, options.gracePeriodSeconds);
    const left = current.metadata.deletionTimestamp ? (current.metadata.deletionGracePeriodSeconds ?? 0) : asked;
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
    else if (!same(next, current)) return { object: save(kind, ordered(next), false), isGone };
    return { object: current, isGone };
  };

  return { read, create, update, remove };
}

/** Whether nothing keeps an object that is being deleted. */
function isReleased(object: Json): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers } = asJson(object.metadata);
  const holds = [...asList(finalizers), ...(object.kind === 'Namespace' ? asList(asJson(object.spec).finalizers) : [])];
  return deletionTimestamp !== undefined && deletionGracePeriodSeconds === 0 && holds.length === 0;
}

function generatedName(prefix: string, random: Random): string {
  const letters = Array.from({ length: 5 }, () => nameAlphabet[Math.floor(random() * nameAlphabet.length)]);
  return `${prefix.slice(0, 58)}${letters.join('')}`;
}

function stripReadOnly(metadata: Json): void {
  for (const field of [
    'uid',
    'creationTimestamp',
    'deletionTimestamp',
    'deletionGracePeriodSeconds',
    'generation',
    'selfLink',
    'managedFields',
    'resourceVersion',
  ]) {
    delete metadata[field];
  }
}

function requireNamespace(kind: Kind, store: Store, metadata: Json, _isDryRun: boolean): void {
  const name = String(metadata.namespace ?? '');
  if (name === '') throw badRequest('an empty namespace may not be set during creation');
  const namespace = store.get('/namespaces', '', name);
  const details = { name, kind: 'namespaces' };
  if (!namespace) throw new ApiError(404, 'NotFound', `namespaces "${name}" not found`, details);
  if (!namespace.metadata.deletionTimestamp) return;
  const why = `unable to create new content in namespace ${name} because it is being terminated`;
  throw forbidden(kind, String(metadata.name), why, [
    { reason: 'NamespaceTerminating', message: `namespace ${name} is being terminated`, field: 'metadata.namespace' },
  ]);
}

function checkPreconditions(kind: Kind, current: KubeObject, sent: Json): void {
  const { name, uid, resourceVersion } = current.metadata;
  if (sent.uid !== undefined && sent.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${sent.uid}, UID in object meta: ${uid}`;
    throw conflict(kind, name, why);
  }
  if (sent.resourceVersion !== undefined && sent.resourceVersion !== '' && sent.resourceVersion !== resourceVersion) {
    const why = 'the object has been modified; please apply your changes to the latest version and try again';
    throw conflict(kind, name, why);
  }
}

function checkDeletePreconditions(kind: Kind, current: KubeObject, options: DeleteOptions): void {
  const { name, uid, resourceVersion } = current.metadata;
  if (options.uid !== undefined && options.uid !== uid) {
    const why = `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`;
    throw conflict(kind, name, why);
  }
  if (options.resourceVersion !== undefined && options.resourceVersion !== resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`;
    throw conflict(kind, name, why);
  }
}

/** The object to store: what the client may write of it over what it may not. */
function merged(kind: Kind, version: KindVersion, sent: Json, old: Json, subresource: 'status' | undefined): Json {
  const oldMetadata = asJson(old.metadata);
  if (subresource === 'status') return { ...old, status: sent.status };
  const metadata = { ...asJson(sent.metadata) };
  const wasDeleted = oldMetadata.deletionTimestamp !== undefined;
  stripReadOnly(metadata);
  const isBlind = kind.custom && !asJson(sent.metadata).resourceVersion;
  for (const field of ['uid', 'creationTimestamp', 'generation', 'resourceVersion', 'generateName']) {
    if (oldMetadata[field] !== undefined) metadata[field] = oldMetadata[field];
  }
  if (isBlind) delete metadata.resourceVersion;
  if (wasDeleted) {
    metadata.deletionTimestamp = oldMetadata.deletionTimestamp;
    metadata.deletionGracePeriodSeconds = oldMetadata.deletionGracePeriodSeconds;
    const added = asList(metadata.finalizers).filter((item) => !asList(oldMetadata.finalizers).includes(item));
    if (added.length > 0) {
      const why = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${added.map((item) => JSON.stringify(item)).join(', ')}}`;
      throw invalid(kind, String(metadata.name), [fieldError.forbidden('metadata.finalizers', why)]);
    }
  }
  for (const field of ['finalizers', 'ownerReferences', 'labels', 'annotations']) {
    const value = metadata[field];
    if (value === null || (Array.isArray(value) && value.length === 0)) delete metadata[field];
  }
  const next: Json = { ...sent, metadata };
  if (version.status) {
    if (old.status === undefined) delete next.status;
    else next.status = old.status;
  }
  return ordered(next);
}

function withoutStatus(object: Json, version: KindVersion): Json {
  const { metadata: _metadata, status, ...rest } = object;
  return version.status ? rest : { ...rest, ...(status !== undefined && { status }) };
}

/** apiVersion, kind and metadata first, as people expect to read it. */
function ordered(object: Json): Json {
  const { apiVersion, kind, metadata, ...rest } = object;
  return { apiVersion, kind, metadata, ...rest };
}

function finalizersFor(kind: Kind, current: KubeObject, propagation: DeleteOptions['propagation']): readonly string[] {
  const finalizers = new Set(current.metadata.finalizers ?? []);
  if (kind.key === 'apiextensions.k8s.io/customresourcedefinitions') finalizers.add(definitionFinalizer);
  if (propagation === undefined) return [...finalizers];
  finalizers.delete('orphan');
  finalizers.delete('foregroundDeletion');
  if (propagation === 'Orphan') finalizers.add('orphan');
  if (propagation === 'Foreground') finalizers.add('foregroundDeletion');
  return [...finalizers];
}

/** Only Pods end gracefully, and only those that a node may be running. */
function graceSecondsFor(kind: Kind, current: KubeObject, asked: number | undefined): number {
  if (kind.key !== '/pods') return 0;
  const spec = asJson(current.spec);
  const phase = asJson(current.status).phase;
  if (!spec.nodeName || phase === 'Succeeded' || phase === 'Failed') return 0;
  return Math.max(0, asked ?? Number(spec.terminationGracePeriodSeconds ?? 30));
}
