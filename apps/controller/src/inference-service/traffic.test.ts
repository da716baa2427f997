import { describe, expect, it } from 'vitest';
import { trafficFor, unreadableIn } from './traffic.ts';

const notes = (values: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [`roundhouse.dev/${name}`, value]));

describe('trafficFor', () => {
  it('says nothing of limits where the service says nothing', () => {
    expect(trafficFor({}, undefined, undefined)).toEqual({ v1: true, v2: true, grpc: true, auth: [] });
  });

  it('reads every annotation, and the timeout of KServe unless ours is there', () => {
    const given = {
      concurrency: '100',
      'model-concurrency': '10',
      queue: '0',
      'max-body': '16Mi',
      auth: 'api-key, jwt',
    };

    expect(trafficFor(notes(given), 30, undefined)).toMatchObject({
      limits: { concurrency: 100, modelConcurrency: 10, queue: 0, bodyBytes: 16n * 1024n * 1024n, timeoutMs: 30_000 },
      auth: ['api-key', 'jwt'],
    });
    expect(trafficFor(notes({ timeout: '500ms' }), 30, undefined).limits?.timeoutMs).toBe(500);
  });

  it.each([
    [['v2'], { v1: false, v2: true, grpc: true }],
    [['v1'], { v1: true, v2: false, grpc: false }],
    [['v1', 'v2', 'grpc-v2'], { v1: true, v2: true, grpc: true }],
    [[], { v1: true, v2: true, grpc: true }],
  ])('a runtime of %j', (protocols, expected) => {
    expect(trafficFor({}, undefined, protocols)).toMatchObject(expected);
  });

  it('names what it cannot read, and does without', () => {
    const broken = notes({ concurrency: 'many', 'max-body': '-1', timeout: '10', queue: '1.5' });

    expect(trafficFor(broken, undefined, undefined).limits).toBeUndefined();
    expect(unreadableIn(broken)).toEqual([
      'the annotation roundhouse.dev/concurrency: "many"',
      'the annotation roundhouse.dev/queue: "1.5"',
      'the annotation roundhouse.dev/max-body: "-1"',
      'the annotation roundhouse.dev/timeout: "10"',
    ]);
  });
});
