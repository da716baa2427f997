import { describe, expect, it } from 'vitest';
import { names } from '../testing/builders.ts';
import { planEvents } from './events.ts';
import { type CopyView, type FailureView, type ParentView, type StatusFacts, statusFor } from './status.ts';

const parent: ParentView = {
  ready: true,
  whyNot: undefined,
  multiModel: true,
  runtime: { name: 'server', formats: ['onnx'], supported: true },
  capacityBytes: 2 ** 30,
  freeBytes: 2 ** 20,
  replicas: 2,
  url: 'http://host',
  addressUrl: 'http://inside',
};

const copy = (change: Partial<CopyView> = {}): CopyView => ({
  pod: 'pod-1',
  stage: 'loaded',
  answers: true,
  current: true,
  failure: undefined,
  ...change,
});

const failure: FailureView = {
  kind: 'DownloadFailed',
  reason: 'NotFound',
  message: 'no such bucket',
  attempt: 2,
  timeMs: Date.UTC(2026, 0, 1),
  nextRetryMs: Date.UTC(2026, 0, 2),
};
const failing = copy({ stage: 'failed', answers: false, current: false, failure });

const facts = (change: Partial<StatusFacts> = {}): StatusFacts => ({
  names,
  generation: 1,
  deleting: false,
  parentName: 'shared',
  parent,
  problems: [],
  framework: 'onnx',
  memoryBytes: 2 ** 20,
  placed: true,
  copies: [copy()],
  path: '/v1/models/iris:predict',
  ...change,
});

const of = (change: Partial<StatusFacts> = {}) => statusFor(facts(change), {}, 'now');
const condition = (change: Partial<StatusFacts>, type: string) =>
  of(change).conditions?.find((each) => each.type === type);

describe('status of a TrainedModel', () => {
  it('is ready with the first copy, and says how many there are', () => {
    const status = of();

    expect(status).toMatchObject({
      url: 'http://host/v1/models/iris:predict',
      address: { url: 'http://inside/v1/models/iris:predict' },
      copies: { desired: 2, loaded: 1, failed: 0, summary: '1/2' },
      observedGeneration: 1,
    });
    expect(status.conditions?.map(({ type, status: value }) => `${type}=${value}`)).toEqual([
      'FrameworkSupported=True',
      'InferenceServiceReady=True',
      'IsMMSPredictor=True',
      'Loaded=False',
      'MemoryResourceAvailable=True',
      'Ready=True',
    ]);
    expect(condition({ copies: [copy(), copy({ pod: 'pod-2' })] }, 'Loaded')?.status).toBe('True');
  });

  it.each<[string, Partial<StatusFacts>, string, string]>([
    ['no parent', { parent: undefined, placed: false }, 'InferenceServiceNotFound', '"shared"'],
    [
      'a parent that is not ready',
      { parent: { ...parent, ready: false, whyNot: 'no pods' } },
      'InferenceServiceNotReady',
      'no pods',
    ],
    [
      'a parent of one model',
      { parent: { ...parent, multiModel: false }, placed: false },
      'IsNotMMSPredictor',
      '"shared"',
    ],
    [
      'a framework nobody serves',
      {
        framework: 'abacus',
        placed: false,
        parent: { ...parent, runtime: { name: 's', formats: ['onnx'], supported: false } },
      },
      'FrameworkNotSupported',
      'onnx',
    ],
    ['no room', { placed: false, memoryBytes: 2 ** 29 }, 'MemoryResourceNotAvailable', '512Mi, 1Mi of 1024Mi'],
    [
      'an invalid spec',
      { problems: ['spec.model.memory: must be more than 0'], placed: false },
      'InvalidSpec',
      'more than 0',
    ],
    ['no replica', { copies: [] }, 'NoReplica', 'connected'],
    [
      'a copy on its way',
      { copies: [copy({ stage: 'downloading', answers: false, current: false })] },
      'Downloading',
      'artifact',
    ],
    ['a copy that fails', { copies: [failing] }, 'DownloadFailed', 'no such bucket'],
    [
      'a copy that is tried again',
      { copies: [copy({ stage: 'downloading', answers: false, current: false, failure })] },
      'DownloadFailed',
      'no such bucket',
    ],
    ['a deletion under way', { deleting: true }, 'Deleting', 'deleted'],
  ])('is not ready with %s, and says why', (_, change, reason, word) => {
    expect(condition(change, 'Ready')).toMatchObject({
      status: 'False',
      reason,
      message: expect.stringContaining(word),
    });
  });

  it('stays ready while the version before answers, and says that the new one fails', () => {
    const status = of({ copies: [copy({ stage: 'failed', current: false, failure })] });

    expect(status.conditions?.find(({ type }) => type === 'Ready')?.status).toBe('True');
    expect(status.copies).toMatchObject({ loaded: 0, failed: 1 });
    expect(status.lastFailure).toEqual({
      reason: 'NotFound',
      message: 'no such bucket',
      pod: 'pod-1',
      time: '2026-01-01T00:00:00Z',
      attempt: 2,
      nextRetry: '2026-01-02T00:00:00Z',
    });
  });

  it.each<[string, Partial<StatusFacts>, string | undefined]>([
    ['a model larger than a replica', { placed: false, memoryBytes: 2 ** 31 }, 'MemoryResourceNotAvailable'],
    ['a model that waits for room', { placed: false, memoryBytes: 2 ** 29 }, undefined],
    [
      'a failure that is not tried again',
      { copies: [copy({ ...failing, failure: { ...failure, nextRetryMs: undefined } })] },
      'NoRetry',
    ],
    ['a failure that is', { copies: [failing] }, undefined],
  ])('stalls only when an edit is needed: %s', (_, change, reason) => {
    expect(condition(change, 'Stalled')?.reason).toBe(reason);
  });
});

describe('Events of a TrainedModel', () => {
  const reasons = (before: Partial<StatusFacts> | undefined, after: Partial<StatusFacts>) =>
    planEvents(before === undefined ? {} : of(before), of(after)).map(({ reason }) => reason);

  it('tell of its way to Ready, once', () => {
    expect(reasons(undefined, { copies: [] })).toEqual([]);
    expect(reasons({ placed: false, memoryBytes: 2 ** 29 }, { copies: [] })).toEqual(['Admitted']);
    expect(reasons({ copies: [] }, {})).toEqual(['Ready']);
    expect(reasons({}, {})).toEqual([]);
  });

  it('tell what stands in its way', () => {
    expect(reasons(undefined, { parent: undefined, placed: false })).toEqual(['InferenceServiceNotFound']);
    expect(reasons(undefined, { placed: false, memoryBytes: 2 ** 29 })).toEqual(['MemoryResourceNotAvailable']);
    expect(reasons({ copies: [] }, { copies: [failing] })).toEqual(['DownloadFailed']);
    expect(reasons({}, { copies: [] })).toEqual(['NotReady']);
  });
});
