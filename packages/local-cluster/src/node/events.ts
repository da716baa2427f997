import { createHash } from 'node:crypto';
import { type Clock, messageOf, timestamp } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Api, KubeObject } from '../api.ts';
import { events, type Pod } from '../workloads/kinds.ts';

export type EventType = 'Normal' | 'Warning';

export type EventDeps = { readonly api: Api; readonly clock: Clock; readonly log: Log };
type Happening = { readonly type: EventType; readonly reason: string; readonly message: string };

/** Tells what happened to a pod; the same again raises the count of the first. An event that cannot be told is no error. */
export function recordEvent(deps: EventDeps, pod: Pod, happening: Happening): void {
  try {
    writeEvent(deps, pod, happening);
  } catch (error) {
    // A namespace that is being deleted takes no new objects, and its pods have to end all the same.
    deps.log.debug({ ...happening, err: error }, `an event was not recorded: ${messageOf(error)}`);
  }
}

function writeEvent(
  { api, clock }: EventDeps,
  { apiVersion, kind, metadata }: Pod,
  { type, reason, message }: Happening,
) {
  const { namespace = 'default', name, uid } = metadata;
  const hash = createHash('sha256')
    .update(JSON.stringify([uid, type, reason, message]))
    .digest('hex')
    .slice(0, 16);
  const now = timestamp(clock.now());
  const current = api.get(events, namespace, `${name}.${hash}`) as (KubeObject & { count?: number }) | undefined;
  if (current !== undefined) {
    api.update(events, { ...current, count: (current.count ?? 1) + 1, lastTimestamp: now });
    return;
  }
  api.create(events, {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${hash}`, namespace },
    involvedObject: { apiVersion, kind, namespace, name, uid },
    type,
    reason,
    message,
    source: { component: 'kubelet', host: 'local' },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  });
}
