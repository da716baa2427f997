import type { KubeObject, OwnerReference } from './api.ts';
import { definitionFinalizer } from './definitions.ts';
import { copyOf, type Json } from './json.ts';
import { definedBy, type Kind } from './kinds.ts';
import type { Rest } from './rest.ts';
import type { Change } from './store.ts';

type Place = { readonly key: string; readonly namespace: string; readonly name: string };

/**
 * Deletes what lost its owners, what its owner takes along, and what is inside of a namespace or definition that goes.
 * Works from what is stored, one object at a time: every change of an object makes it and its relatives be looked at again.
 */
export function collectGarbage({ kinds, store, update, remove }: Rest): () => void {
  const dependents = new Map<string, Map<string, Place>>();
  const queue = new Map<string, Place>();
  let isStopped = false;

  const enqueue = (place: Place) => {
    if (queue.size === 0) setImmediate(work);
    queue.set(idOf(place), place);
  };
  const dependentsOf = (uid: string | undefined) => [...(dependents.get(uid ?? '')?.values() ?? [])];
  const link = (object: KubeObject, place: Place, isThere: boolean) => {
    for (const { uid } of object.metadata.ownerReferences ?? []) {
      const places = dependents.get(uid) ?? new Map<string, Place>();
      if (isThere) places.set(idOf(place), place);
      else places.delete(idOf(place));
      if (places.size > 0) dependents.set(uid, places);
      else dependents.delete(uid);
    }
  };
  const ownerPlace = (owner: OwnerReference, namespace: string): Place | undefined => {
    const kind = kinds.findKind(owner.apiVersion, owner.kind);
    return kind && { key: kind.key, namespace: kind.namespaced ? namespace : '', name: owner.name };
  };
  const notice = ({ key, type, object, previous }: Change) => {
    const place = placeOf(key, object);
    if (previous) link(previous, place, false);
    if (type !== 'DELETED') link(object, place, true);
    const { metadata } = object;
    if (type === 'DELETED' || metadata.deletionTimestamp)
      for (const other of dependentsOf(metadata.uid)) enqueue(other);
    if (metadata.ownerReferences?.length || metadata.deletionTimestamp) enqueue(place);
    if (type !== 'DELETED') return;
    for (const owner of metadata.ownerReferences ?? []) {
      const at = ownerPlace(owner, place.namespace);
      if (at && store.get(at.key, at.namespace, at.name)?.metadata.deletionTimestamp) enqueue(at);
    }
    if (place.namespace !== '') enqueue({ key: '/namespaces', namespace: '', name: place.namespace });
    const definition = `${kinds.ofKey(key)?.resource}.${kinds.ofKey(key)?.group}`;
    enqueue({ key: 'apiextensions.k8s.io/customresourcedefinitions', namespace: '', name: definition });
  };

  const work = () => {
    const places = [...queue.values()];
    queue.clear();
    for (const place of places) {
      if (isStopped) return;
      const kind = kinds.ofKey(place.key);
      const object = store.get(place.key, place.namespace, place.name);
      if (kind && object) examine(kind, object);
    }
  };

  const examine = (kind: Kind, object: KubeObject) => {
    if (!object.metadata.deletionTimestamp) return examineOwners(kind, object);
    const { finalizers = [], uid } = object.metadata;
    if (finalizers.includes('orphan')) {
      for (const place of dependentsOf(uid)) disown(place, (owner) => owner.uid === uid);
      release(kind, object, 'orphan');
    } else if (finalizers.includes('foregroundDeletion')) {
      const isHeld = dependentsOf(uid).some(({ key, namespace, name }) =>
        store
          .get(key, namespace, name)
          ?.metadata.ownerReferences?.some((owner) => owner.uid === uid && owner.blockOwnerDeletion === true),
      );
      if (!isHeld) release(kind, object, 'foregroundDeletion');
    } else if (kind.key === '/namespaces') empty(kind, object);
    else if (finalizers.includes(definitionFinalizer)) {
      const defined = kinds.find(definedBy(object));
      if (!defined || removeAll(defined, undefined) === 0) release(kind, object, definitionFinalizer);
    }
  };

  const examineOwners = (kind: Kind, object: KubeObject) => {
    const { ownerReferences = [], namespace = '', name, uid } = object.metadata;
    if (ownerReferences.length === 0) return;
    const found = ownerReferences.map((reference) => {
      const at = ownerPlace(reference, namespace);
      // An owner of a kind that is not served cannot be looked up: nobody may conclude that it is gone.
      if (!at) return { reference, state: 'there' };
      const owner = store.get(at.key, at.namespace, at.name);
      if (owner === undefined || owner.metadata.uid !== reference.uid) return { reference, state: 'gone' };
      const isGoing = owner.metadata.deletionTimestamp && owner.metadata.finalizers?.includes('foregroundDeletion');
      return { reference, state: isGoing ? 'going' : 'there' };
    });
    const isAny = (state: string) => found.some((item) => item.state === state);
    if (isAny('there')) {
      const left = found.filter((item) => item.state !== 'there').map((item) => item.reference.uid);
      if (left.length > 0) disown(placeOf(kind.key, object), (owner) => left.includes(owner.uid));
      return;
    }
    const propagation = isAny('going') && dependentsOf(uid).length > 0 ? 'Foreground' : 'Background';
    remove(kind, namespace, name, { uid, propagation });
  };

  const change = (kind: Kind, { metadata, ...rest }: KubeObject, changed: object) => {
    const version = kind.versions.find(({ name }) => kind.storedVersion.endsWith(name)) ?? kind.versions[0];
    const object = { ...rest, apiVersion: kind.storedVersion, metadata: { ...metadata, ...changed } };
    if (version) update(kind, version, copyOf(object) as Json);
  };
  const release = (kind: Kind, object: KubeObject, finalizer: string) =>
    change(kind, object, { finalizers: object.metadata.finalizers?.filter((item) => item !== finalizer) });
  const disown = ({ key, namespace, name }: Place, isLost: (owner: OwnerReference) => boolean) => {
    const kind = kinds.ofKey(key);
    const object = store.get(key, namespace, name);
    const left = object?.metadata.ownerReferences?.filter((owner) => !isLost(owner));
    if (kind && object) change(kind, object, { ownerReferences: left });
  };
  /** How many objects are still there afterwards. */
  const removeAll = (kind: Kind, namespace: string | undefined): number => {
    for (const { metadata } of store.list(kind.key, namespace)) {
      if (metadata.deletionTimestamp) continue;
      remove(kind, metadata.namespace ?? '', metadata.name, { propagation: 'Background' });
    }
    return store.list(kind.key, namespace).length;
  };
  const empty = (kind: Kind, namespace: KubeObject) => {
    const inside = kinds.all().filter((other) => other.namespaced && !other.virtual);
    const left = inside.reduce((sum, other) => sum + removeAll(other, namespace.metadata.name), 0);
    if (left === 0) change(kind, { ...namespace, spec: { finalizers: [] } }, {});
  };

  for (const key of store.keys()) {
    for (const object of store.list(key, undefined)) {
      const place = placeOf(key, object);
      link(object, place, true);
      if (object.metadata.ownerReferences?.length || object.metadata.deletionTimestamp) enqueue(place);
    }
  }
  const unsubscribe = store.onChange(notice);
  return () => {
    isStopped = true;
    unsubscribe();
  };
}

function placeOf(key: string, { metadata: { namespace = '', name } }: KubeObject): Place {
  return { key, namespace, name };
}

function idOf({ key, namespace, name }: Place): string {
  return `${key} ${namespace}/${name}`;
}
