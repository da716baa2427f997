import { createHash } from 'node:crypto';
import { type Clock, messageOf, timestamp } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Api } from '../api.ts';
import { events, type Pod } from '../workloads/kinds.ts';

export type EventType = 'Normal' | 'Warning';

export type EventDeps = { readonly api: Api; readonly clock: Clock; readonly log: Log };
type Happening = { readonly type: EventType; readonly reason: string; readonly message: string };

/** Tells what happened to a pod; the same again raises the count of the first. An event that cannot be told is no error. */
export function recordEvent({ api, clock, log }: EventDeps, pod: Pod, happening: Happening): void {
  const { namespace = '', name: podName, uid = '' } = pod.metadata;
  const text = JSON.stringify([uid, happening]);
  const name = `${podName}.${createHash('sha256').update(text).digest('hex').slice(0, 16)}`;
  const now = timestamp(clock.now());
  const current = api.get(events, namespace, name);
  try {
    if (current !== undefined) {
      api.update(events, { ...current, count: Number(current.count) + 1, lastTimestamp: now });
      return;
    }
    api.create(events, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: { apiVersion: 'v1', kind: 'Pod', namespace, name: podName, uid },
      ...happening,
      source: { component: 'kubelet', host: 'local' },
      firstTimestamp: now,
      lastTimestamp: now,
      count: 1,
    });
  } catch (error) {
    // A namespace that is being deleted takes no new objects, and its pods have to end all the same.
    log.debug({ ...happening, err: error }, `an event was not recorded: ${messageOf(error)}`);
  }
}
