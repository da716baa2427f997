import { isDeepStrictEqual } from 'node:util';
import { messageOf } from '@roundhouse/base';
import type { ResourceName } from '@roundhouse/crds';
import { isKubeError } from '@roundhouse/kube';
import type { Fleet } from '../assignments/fleet.ts';
import { type Cluster, type Installation, type RecordEvent, resources, type Stored } from '../cluster.ts';
import { type Child, planChild } from '../inference-service/children.ts';
import type { Settings } from '../inference-service/settings.ts';
import { exposureFor, type Facts } from './plan.ts';

export type Deps = {
  readonly cluster: Cluster;
  readonly record: RecordEvent;
  readonly installation: Installation;
  readonly domain: string;
  readonly fleet: Fleet;
  readonly settings: Settings;
  /** What `missing` answers has changed. */
  readonly onMissing: () => void;
};

const kinds: readonly ResourceName[] = [resources.ingresses, resources.httpRoutes];

/** Keeps the one object that leads clients outside to the routers. What has been done is remembered and not asked for again. */
export function createExposure({ cluster, record, installation, domain, fleet, settings, onMissing }: Deps) {
  let done: { readonly wanted: Child | undefined } | undefined;
  let missing: string | undefined;

  const setMissing = (kind: string | undefined) => {
    if (kind === missing) return;
    missing = kind;
    onMissing();
  };

  const apply = async (wanted: Child | undefined, { installation, source }: Facts, signal: AbortSignal) => {
    for (const resource of kinds) {
      const isWanted = wanted?.kind === resource.kind;
      const current = await found(resource, wanted, installation.namespace, signal);
      if (isWanted) await put(resource, wanted, current, source.uid, signal);
      else if (isOwned(current, source.uid) && current !== undefined) {
        const { namespace = '', name, uid = '' } = current.metadata;
        await cluster.delete(resource, { namespace, name, uid }, signal);
      }
    }
  };

  /** A kind that nobody asks for may be one that we may not read, or that is not installed. */
  const found = async (resource: ResourceName, wanted: Child | undefined, namespace: string, signal: AbortSignal) => {
    try {
      return await cluster.get(resource, namespace, 'roundhouse', signal);
    } catch (error) {
      if (wanted?.kind !== resource.kind && isKubeError(error, 'kube/denied')) return undefined;
      throw error;
    }
  };

  const put = async (
    resource: ResourceName,
    wanted: Child,
    current: Stored | undefined,
    uid: string,
    signal: AbortSignal,
  ) => {
    const step = planChild<Stored>(wanted, current, uid);
    if (step?.kind === 'foreign') throw new Error(step.message);
    if (step?.kind === 'create') await cluster.create(resource, step.object, signal);
    if (step?.kind === 'replace') await cluster.replace(resource, step.object, signal);
  };

  return {
    /** The kind of the object that is wanted, where the cluster does not have it. */
    missing: () => missing,

    /** Brings it to what the ConfigMap of settings and the services' hosts ask for. */
    async write(signal: AbortSignal) {
      const source = settings.source();
      if (source === undefined) return; // what we made went with it
      const hosts = [...fleet.services.values()].flatMap(({ view }) => view?.hosts ?? []);
      const { name, uid = '' } = source.metadata;
      const { config } = settings.current();
      const facts = { installation, config, domain, hosts, source: { name, uid } };
      const wanted = exposureFor(facts);
      if (done !== undefined && isDeepStrictEqual(done.wanted, wanted)) return;
      try {
        await apply(wanted, facts, signal);
        done = { wanted };
        setMissing(undefined);
      } catch (error) {
        if (isKubeError(error, 'kube/no-kind')) return setMissing(`${wanted?.kind} of ${wanted?.apiVersion}`);
        record(source, { type: 'Warning', reason: 'NotExposed', message: messageOf(error) });
        throw error; // the queue backs off and comes back
      }
    },
  };
}

function isOwned(object: Stored | undefined, uid: string): boolean {
  return object?.metadata.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
}
