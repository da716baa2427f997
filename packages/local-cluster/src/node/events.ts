import { createHash } from 'node:crypto';
import { type Clock, timestamp } from '@roundhouse/base';
import type { Api, KubeObject } from '../api.ts';
import { events, type Pod } from '../workloads/kinds.ts';

export type EventType = 'Normal' | 'Warning';

/** Tells what happened to a pod; the same again raises the count of the first. */
export function recordEvent(
  { api, clock }: { readonly api: Api; readonly clock: Clock },
  { apiVersion, kind, metadata }: Pod,
  { type, reason, message }: { readonly type: EventType; readonly reason: string; readonly message: string },
): void {
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
