import { type Clock, messageOf, timestamp } from '@roundhouse/base';
import type { Kube } from './kube.ts';
import { isKubeError } from './kube-error.ts';
import type { KubeLog } from './log.ts';
import type { KubeObject, Resource } from './object.ts';

export type EventFields = { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };

/** Events that people see with `kubectl describe` and `kubectl events`. */
export type EventRecorder = {
  /** Never throws and never waits: an Event is news, not state. */
  record(regarding: KubeObject, event: EventFields): void;
  /** Sends what was recorded until `signal` aborts, and what is left then for two more seconds. */
  run(signal: AbortSignal): Promise<void>;
};

// Core v1, since its count and times are what kubectl shows as "(x5 over 3m)"; events.k8s.io/v1 is the same store.
const events: Resource = { group: '', version: 'v1', resource: 'events' };

/** Different Events waiting. Beyond it the API server is slower than the news, and the newest are dropped. */
const pendingMax = 1_000;

/** Events that may be counted up instead of repeated. The API server itself forgets them after an hour. */
const rememberedMax = 4_096;
const rememberedMs = 10 * 60_000;

const messageLengthMax = 1_024; // the API's limit
const lastWordsMs = 2_000;

type Entry = {
  readonly key: string;
  readonly regarding: KubeObject;
  readonly event: EventFields;
  readonly firstMs: number;
  lastMs: number;
  count: number;
  /** Of the Event in the API, once it is there. */
  name?: string;
};

export function createEventRecorder(
  { kube, clock, log }: { readonly kube: Kube; readonly clock: Clock; readonly log: KubeLog },
  { component, instance }: { readonly component: string; readonly instance: string },
): EventRecorder {
  const remembered = new Map<string, Entry>(); // the least recently recorded first
  const pending = new Set<Entry>();
  let sequence = 0;
  let wake = () => {};

  const entryFor = (regarding: KubeObject, event: EventFields): Entry => {
    const now = clock.now();
    const key = JSON.stringify([regarding.metadata.uid, regarding.kind, regarding.metadata.name, event]);
    const known = remembered.get(key);
    remembered.delete(key);
    const entry =
      known !== undefined && now - known.lastMs < rememberedMs
        ? known
        : { key, regarding: referred(regarding), event, firstMs: now, lastMs: now, count: 0 };
    entry.count++;
    entry.lastMs = now;
    remembered.set(key, entry);
    const [oldest] = remembered.keys();
    if (remembered.size > rememberedMax && oldest !== undefined) remembered.delete(oldest);
    return entry;
  };

  const send = async (entry: Entry, signal: AbortSignal) => {
    const namespace = entry.regarding.metadata.namespace ?? 'default';
    if (entry.name !== undefined) {
      const patch = { count: entry.count, lastTimestamp: timestamp(entry.lastMs) };
      try {
        return void (await kube.patch(events, { namespace, name: entry.name }, patch, signal));
      } catch (error) {
        if (!isKubeError(error, 'not-found')) throw error; // forgotten by the server: say it anew
      }
    }
    const unique = `${entry.firstMs.toString(16)}${(sequence++).toString(16).padStart(4, '0')}`;
    const name = `${entry.regarding.metadata.name.slice(0, 200)}.${unique}`;
    await kube.create(events, eventFor(entry, { namespace, name }, component, instance), signal);
    entry.name = name;
  };

  const drain = async (signal: AbortSignal) => {
    for (const entry of pending) {
      if (signal.aborted) return;
      pending.delete(entry);
      await send(entry, signal).catch((error: unknown) => {
        if (!signal.aborted) return log.warn({ reason: messageOf(error) }, 'an Event was not recorded');
        pending.add(entry);
      });
    }
  };

  return {
    record(regarding, event) {
      const entry = entryFor(regarding, { ...event, message: event.message.slice(0, messageLengthMax) });
      if (pending.size >= pendingMax && !pending.has(entry)) return;
      pending.add(entry);
      wake();
    },
    async run(signal) {
      while (!signal.aborted) {
        await drain(signal);
        if (signal.aborted || pending.size > 0) continue;
        const woken = Promise.withResolvers<void>();
        wake = woken.resolve;
        signal.addEventListener('abort', wake, { once: true });
        await woken.promise;
        signal.removeEventListener('abort', wake);
      }
      await drain(AbortSignal.timeout(lastWordsMs));
    },
  };
}

/** What an Event needs to know of an object, so that waiting Events do not hold whole objects. */
function referred({ apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } }: KubeObject): KubeObject {
  return { apiVersion, kind, metadata: { name, namespace, uid, resourceVersion } } as KubeObject;
}

function eventFor(
  { regarding, event, firstMs, lastMs, count }: Entry,
  target: { readonly namespace: string; readonly name: string },
  component: string,
  instance: string,
): KubeObject {
  const { apiVersion, kind, metadata } = regarding;
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: target,
    involvedObject: { apiVersion, kind, ...metadata },
    type: event.type,
    reason: event.reason,
    message: event.message,
    count,
    firstTimestamp: timestamp(firstMs),
    lastTimestamp: timestamp(lastMs),
    source: { component },
    reportingComponent: component,
    reportingInstance: instance,
  };
}
