import { describe, expect, it } from 'vitest';
import { aRuntime, aServiceIdentity, installation, names, noConfig, noStorage } from '../testing/builders.ts';
import { addressesFor } from './addresses.ts';
import { planInferenceService } from './plan.ts';
import { type StatusFacts, statusFor } from './status.ts';

const plan = (predictor: object, runtimes = [aRuntime()]) =>
  planInferenceService({
    names,
    service: aServiceIdentity(),
    spec: { predictor },
    runtimes,
    config: noConfig,
    storage: noStorage,
    fileRoots: [],
    installation,
  });

const available = { availableReplicas: 1, conditions: [{ type: 'Available', status: 'True' }] };

const facts = (change: Partial<StatusFacts> = {}): StatusFacts => ({
  names,
  installation,
  generation: 3,
  plan: plan({ onnx: {} }),
  failure: undefined,
  deployment: available,
  addresses: addressesFor({ names, service: aServiceIdentity() }, noConfig, 'example.com'),
  hostTaken: undefined,
  unreachable: [],
  homeless: 0,
  missingKinds: [],
  configProblems: [],
  ownCopies: undefined,
  ...change,
});

const of = (change: Partial<StatusFacts>) => statusFor(facts(change), {}, 'now');
const condition = (change: Partial<StatusFacts>, type: string) =>
  of(change).conditions?.find((each) => each.type === type);

describe('status of an InferenceService', () => {
  it('is ready with an available replica, and says where', () => {
    expect(of({})).toMatchObject({
      url: 'http://shared-default.example.com',
      address: { url: 'http://shared-predictor.default.svc.cluster.local' },
      clusterServingRuntimeName: 'roundhouse-model-server',
      observedGeneration: 3,
      modelStatus: { transitionStatus: 'UpToDate' },
    });
    expect(condition({}, 'Ready')).toEqual({ type: 'Ready', status: 'True', lastTransitionTime: 'now' });
  });

  it.each([
    ['no replica yet', { deployment: undefined }, 'Unknown', 'PredictorNotReady'],
    [
      'a Deployment that gave up',
      { deployment: { availableReplicas: 0, conditions: [{ type: 'Progressing', status: 'False', message: 'm' }] } },
      'False',
      'ProgressDeadlineExceeded',
    ],
    [
      'pods that cannot be made',
      { deployment: { availableReplicas: 0, conditions: [{ type: 'ReplicaFailure', status: 'True', message: 'm' }] } },
      'False',
      'ReplicaFailure',
    ],
    ['a write that failed', { failure: 'denied' }, 'False', 'ApplyFailed'],
    ['a plan that is blocked', { plan: plan({ sklearn: {} }) }, 'False', 'NoSupportingRuntime'],
    [
      'a host that another has',
      { hostTaken: { host: 'shared-default.example.com', by: 'default/older' } },
      'False',
      'HostConflict',
    ],
  ])('is not ready with %s', (_, change, status, reason) => {
    expect(condition(change, 'Ready')).toMatchObject({ status, reason });
  });

  it('stalls on what only an edit can mend', () => {
    expect(
      condition({ hostTaken: { host: 'shared-default.example.com', by: 'default/older' } }, 'Stalled'),
    ).toMatchObject({
      status: 'True',
      reason: 'HostConflict',
    });
    expect(condition({ deployment: undefined }, 'Stalled')).toBeUndefined();
  });

  it('names fields that are not in effect, and pods that cannot reach the controller', () => {
    expect(condition({ plan: plan({ onnx: {}, logger: {} }) }, 'UnsupportedField')?.message).toContain(
      'spec.predictor.logger',
    );
    expect(condition({ unreachable: ['pod-1'] }, 'AgentUnreachable')).toMatchObject({
      status: 'True',
      message: expect.stringMatching(/pod-1.*9443/),
    });
  });
});
