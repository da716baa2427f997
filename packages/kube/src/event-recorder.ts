import { bounded, type Clock, messageOf, timestamp } from '@roundhouse/base';
import type { Kube } from './kube.ts';
import type { KubeObject, Resource } from './object.ts';

export type EventFields = { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };

/** Writes Events in the background. Repeats of one become a count; a full queue drops the newest: Events are a courtesy. */
export type EventRecorder = {
  record(regarding: KubeObject, event: EventFields): void;
  /** Resolves once everything recorded so far is written or given up. */
  flush(): Promise<void>;
};

export type EventRecorderDeps = {
  readonly kube: Kube;
  readonly clock: Clock;
  /** Who reports, such as `roundhouse-controller`. */
  readonly component: string;
  readonly instance: string;
  readonly onTrouble: (message: string) => void;
};

const events: Resource = { group: '', version: 'v1', resource: 'events' };

/** A start with thousands of models writes an Event for each: they wait here, about 1 kB each. */
const waitingMax = 10_000;
/** Events must not crowd out the writes that matter. */
const writersMax = 4;
/** Distinct events remembered for counting repeats; the API server forgets them after an hour anyway. */
const rememberedMax = 4_096;
const writeMsMax = 10_000;

type Remembered = { readonly name: string; readonly namespace: string; count: number };

export function createEventRecorder(deps: EventRecorderDeps): EventRecorder {
  const writers = bounded(writersMax);
  const remembered = new Map<string, Remembered>();
  const underWay = new Set<Promise<void>>();
  let sequence = 0;

  const write = async (regarding: KubeObject, event: EventFields) => {
    const { kube, clock } = deps;
    const { uid = '', namespace = 'default', name } = regarding.metadata;
    const key = JSON.stringify([uid, event.type, event.reason, event.message]);
    const known = remembered.get(key);
    const signal = AbortSignal.timeout(writeMsMax);
    if (known !== undefined) {
      known.count++;
      const repeat = { count: known.count, lastTimestamp: timestamp(clock.now()) };
      if ((await kube.patch(events, known, repeat, signal)) !== undefined) return;
    }
    const eventName = `${name}.${clock.now().toString(16)}${(sequence++).toString(16)}`;
    remembered.set(key, { name: eventName, namespace, count: 1 });
    const [oldest] = remembered.keys();
    if (remembered.size > rememberedMax && oldest !== undefined) remembered.delete(oldest);
    await kube.create(events, eventFor(deps, regarding, event, { namespace, name: eventName }), signal);
  };

  return {
    record(regarding, event) {
      if (writers.waiting >= waitingMax) return;
      const writing = writers
        .run(() => write(regarding, event), new AbortController().signal)
        .catch((error) => deps.onTrouble(`an Event could not be written: ${messageOf(error)}`))
        .finally(() => underWay.delete(writing));
      underWay.add(writing);
    },
    async flush() {
      await Promise.all(underWay);
    },
  };
}

function eventFor(
  { clock, component, instance }: EventRecorderDeps,
  { apiVersion, kind, metadata: { namespace, name, uid, resourceVersion } }: KubeObject,
  { type, reason, message }: EventFields,
  metadata: { readonly namespace: string; readonly name: string },
) {
  const now = timestamp(clock.now());
  return {
    apiVersion: 'v1',
    kind: 'Event',
    metadata,
    involvedObject: { apiVersion, kind, namespace, name, uid, resourceVersion },
    type,
    reason,
    message: message.slice(0, messageMax),
    source: { component, host: instance },
    reportingComponent: component,
    reportingInstance: instance,
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
}

/** The API server's limit for an Event's message. */
const messageMax = 1024;
