import { type Clock, timestamp } from '@roundhouse/base';
import { type Names, predictPath, type TrainedModelStatus } from '@roundhouse/crds';
import type { Fleet } from '../assignments/fleet.ts';
import type { Model } from '../assignments/model.ts';
import type { Holding, Service } from '../assignments/service.ts';
import type { Cluster, RecordEvent, Views } from '../cluster.ts';
import { mergePatchFor } from '../merge-patch.ts';
import { planClaim, planRelease } from './claim.ts';
import { planEvents } from './events.ts';
import { type ParentView, statusFor } from './status.ts';

export type Deps = {
  readonly names: Names;
  readonly clock: Clock;
  readonly cluster: Cluster;
  readonly views: Views;
  readonly fleet: Fleet;
  readonly record: RecordEvent;
};

/** Makes a model ours (finalizer, labels, owner), and lets it go once nothing holds it. */
export function createClaims({ names, cluster, views, fleet, record }: Deps) {
  /** The version that our last write made of a model, until the informer shows it. */
  const written = new Map<string, number>();

  return async (key: string, signal: AbortSignal) => {
    const object = views.models.get(key);
    const model = fleet.models.get(key);
    if (object === undefined || model === undefined) return void written.delete(key);
    // What we would decide from an older one is done, or would conflict; the watch brings the newer one, and us back.
    if (Number(object.metadata.resourceVersion) < (written.get(key) ?? 0)) return;
    written.delete(key);
    const { namespace, name, parent } = model;
    const service = fleet.services.get(`${namespace}/${parent}`);
    const holding = holdingOf(service, model);
    const patch = async (change: object | undefined) => {
      if (change === undefined) return false;
      const stored = await cluster.patch(names.trainedModels, { namespace, name }, change, signal);
      if (stored !== undefined) written.set(key, Number(stored.metadata.resourceVersion));
      return stored !== undefined;
    };
    if (model.deleting) {
      // The fleet wakes us when nothing holds it any more.
      const isReleased = await patch(holding === undefined ? planRelease(names, object) : undefined);
      if (isReleased) record(object, { type: 'Normal', reason: 'Unloaded', message: 'no replica holds it any more' });
      return;
    }
    const owner = service?.view === undefined ? undefined : { name: parent, uid: service.view.uid };
    await patch(planClaim(names, object, parent, owner, holding?.stage === 'held'));
  };
}

/** Writes the status of models when it differs from what is stored, and tells of what changed. */
export function createStatusWriter({ names, clock, cluster, views, fleet, record }: Deps) {
  /** What we wrote and the informer has not shown yet. At most one entry per model under way. */
  const written = new Map<string, { readonly version: number; readonly status: TrainedModelStatus }>();

  const storedStatus = (
    key: string,
    object: { readonly metadata: { readonly resourceVersion?: string }; readonly status?: unknown },
  ) => {
    const ours = written.get(key);
    const version = Number(object.metadata.resourceVersion);
    if (ours !== undefined && !(version >= ours.version)) return ours.status;
    written.delete(key);
    return (object.status ?? {}) as TrainedModelStatus;
  };

  return async (key: string, signal: AbortSignal) => {
    const object = views.models.get(key);
    const model = fleet.models.get(key);
    if (object === undefined || model === undefined) return void written.delete(key);
    const before = storedStatus(key, object);
    const after = modelStatus(names, fleet, model, before, timestamp(clock.now()));
    const status = mergePatchFor(before, after);
    if (status === undefined) return;
    const { namespace, name } = model;
    const stored = await cluster.patch(names.trainedModels, { namespace, name, status: true }, { status }, signal);
    if (stored === undefined) return;
    written.set(key, { version: Number(stored.metadata.resourceVersion), status: after });
    for (const event of planEvents(before, after)) record(object, event);
  };
}

function modelStatus(
  names: Names,
  fleet: Fleet,
  model: Model,
  before: TrainedModelStatus,
  now: string,
): TrainedModelStatus {
  const { namespace, name, parent, generation, deleting, problems, memoryBytes, assignment } = model;
  const service = fleet.services.get(`${namespace}/${parent}`);
  const holding = holdingOf(service, model);
  const view = service?.view;
  const parentView: ParentView | undefined = view && {
    ...view,
    runtime: view.runtime && { ...view.runtime, supported: view.supports(assignment.framework) },
    freeBytes: service && fleet.freeBytes(service),
    freeGpuBytes: service && fleet.freeGpuBytes(service),
  };
  return statusFor(
    {
      names,
      generation,
      deleting,
      parentName: parent,
      parent: parentView,
      problems,
      framework: assignment.framework,
      memoryBytes,
      gpuBytes: model.gpuBytes,
      placed: holding?.stage === 'held',
      copies: service === undefined || holding === undefined ? [] : fleet.copiesOf(service, name),
      path: predictPath(view?.protocol ?? 'v1', name),
    },
    before,
    now,
  );
}

/** The model's place; one that belongs to the service's own model of the same name is not it. */
function holdingOf(service: Service | undefined, { name }: Model): Holding | undefined {
  const holding = service?.holdings.get(name);
  return holding?.model.own === true ? undefined : holding;
}
