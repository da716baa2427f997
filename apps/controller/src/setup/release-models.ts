import type { Clock } from '@roundhouse/base';
import type { Names } from '@roundhouse/crds';
import type { Kube } from '@roundhouse/kube';
import { type Cluster, resources } from '../cluster.ts';
import { planRelease } from '../trained-model/claim.ts';

export type Deps = { readonly names: Names; readonly kube: Pick<Kube, 'list'> & Cluster; readonly clock: Clock };

export type Request = {
  /** Where the controller runs. */
  readonly namespace: string;
  /** Whose models are let go; empty: all. */
  readonly namespaces: readonly string[];
};

const controller = 'roundhouse-controller';
const pollMs = 500;

/**
 * Before Roundhouse goes: stops the controller, then takes its finalizer off every TrainedModel, so that they can be deleted without it.
 * The models themselves, their services and model servers stay as they are. Returns how many were let go.
 */
export async function releaseModels(deps: Deps, { namespace, namespaces }: Request, signal: AbortSignal) {
  const { kube, clock } = deps;
  // A controller that runs would put the finalizer back.
  await kube.patch(resources.deployments, { namespace, name: controller }, { spec: { replicas: 0 } }, signal);
  for (;;) {
    const { items } = await kube.list(resources.pods, { namespace, labelSelector: `app=${controller}` }, signal);
    if (items.length === 0) break;
    await clock.sleep(pollMs, signal);
  }
  let released = 0;
  for (const from of namespaces.length > 0 ? namespaces : [undefined]) released += await releaseIn(deps, from, signal);
  return released;
}

async function releaseIn({ kube, names }: Deps, namespace: string | undefined, signal: AbortSignal) {
  const { items } = await kube.list(names.trainedModels, namespace === undefined ? {} : { namespace }, signal);
  let released = 0;
  for (const object of items) {
    const release = planRelease(names, object);
    if (release === undefined) continue;
    const { name, namespace: own = '' } = object.metadata;
    await kube.patch(names.trainedModels, { namespace: own, name }, release, signal);
    released++;
  }
  return released;
}
