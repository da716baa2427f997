import type { Condition, TrainedModelStatus } from '@roundhouse/crds';

/** An Event on the model's object. */
export type ModelEvent = { readonly type: 'Normal' | 'Warning'; readonly reason: string; readonly message: string };

/** Conditions whose turning False a person would ask about. */
const told = ['InferenceServiceReady', 'IsMMSPredictor', 'FrameworkSupported', 'MemoryResourceAvailable'];
/** These pass by themselves in a healthy start. */
const usual: ReadonlySet<string> = new Set(['InferenceServiceNotReady']);

/** What to tell about the way from one status to the next. */
export function planEvents(before: TrainedModelStatus, after: TrainedModelStatus): readonly ModelEvent[] {
  const events: ModelEvent[] = [];
  for (const type of told) {
    const now = condition(after, type);
    if (now?.status !== 'False' || usual.has(now.reason ?? '')) continue;
    if (condition(before, type)?.reason === now.reason) continue;
    events.push({ type: 'Warning', reason: now.reason ?? type, message: now.message ?? '' });
  }
  const invalid = condition(after, 'Ready');
  if (invalid?.reason === 'InvalidSpec' && condition(before, 'Ready')?.reason !== 'InvalidSpec') {
    events.push({ type: 'Warning', reason: 'InvalidSpec', message: invalid.message ?? '' });
  }
  // One that found room at once says so by being Ready; one that waited is news.
  const waited = condition(before, 'MemoryResourceAvailable')?.status === 'False';
  const replicas = after.copies?.desired ?? 0;
  if (waited && (before.copies?.desired ?? 0) === 0 && replicas > 0) {
    const message = `room came free: to be loaded on ${replicas} replica${replicas === 1 ? '' : 's'}`;
    events.push({ type: 'Normal', reason: 'Admitted', message });
  }
  events.push(...failureEvents(before, after), ...readyEvents(before, after));
  return events;
}

function failureEvents(before: TrainedModelStatus, after: TrainedModelStatus): readonly ModelEvent[] {
  const failure = after.lastFailure;
  const old = before.lastFailure;
  if (failure === undefined) return [];
  if (old?.reason === failure.reason && old.message === failure.message && old.pod === failure.pod) return [];
  const retry =
    failure.nextRetry === undefined ? 'not tried again until something changes' : `next try at ${failure.nextRetry}`;
  const kind = condition(after, 'Loaded')?.reason === 'LoadFailed' ? 'LoadFailed' : 'DownloadFailed';
  return [
    { type: 'Warning', reason: kind, message: `${failure.pod}: ${failure.reason}: ${failure.message}; ${retry}` },
  ];
}

function readyEvents(before: TrainedModelStatus, after: TrainedModelStatus): readonly ModelEvent[] {
  const was = condition(before, 'Ready')?.status === 'True';
  const ready = condition(after, 'Ready');
  if (!was && ready?.status === 'True') {
    return [
      {
        type: 'Normal',
        reason: 'Ready',
        message: `answers at ${after.url ?? ''}; copies ${after.copies?.summary ?? ''}`,
      },
    ];
  }
  if (was && ready?.status !== 'True' && ready?.reason !== 'Deleting') {
    return [{ type: 'Warning', reason: 'NotReady', message: `${ready?.reason}: ${ready?.message}` }];
  }
  return [];
}

function condition({ conditions }: TrainedModelStatus, type: string): Condition | undefined {
  return conditions?.find((each) => each.type === type);
}
