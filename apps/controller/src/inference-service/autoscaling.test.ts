import { describe, expect, it } from 'vitest';
import { aRuntime, aServiceIdentity, installation, names, noConfig, noStorage } from '../testing/builders.ts';
import { planInferenceService } from './plan.ts';

const planFor = (predictor: object, annotations: Readonly<Record<string, string>> = {}) => {
  const plan = planInferenceService({
    names,
    service: aServiceIdentity({ annotations }),
    spec: { predictor: { onnx: {}, ...predictor } },
    runtimes: [aRuntime()],
    config: noConfig,
    storage: noStorage,
    fileRoots: [],
    installation,
  });
  if (plan.kind !== 'apply') throw new Error(plan.trouble.message);
  const child = (kind: string) => plan.children.find((each) => each.kind === kind)?.spec;
  return { ...plan, child };
};
const keda = { 'serving.kserve.io/autoscalerClass': 'keda' };

describe('autoscaling', () => {
  it('is none for a fixed number of replicas', () => {
    const { children, child } = planFor({ minReplicas: 2 });

    expect(children.map(({ kind }) => kind)).toEqual(['Service', 'Deployment', 'PodDisruptionBudget']);
    expect(child('Deployment')).toMatchObject({ replicas: 2 });
    expect(child('PodDisruptionBudget')).toMatchObject({ maxUnavailable: 1 });
    expect(planFor({}).child('PodDisruptionBudget')).toBeUndefined();
  });

  it('is by CPU at 80 % unless said otherwise, and leaves replicas alone', () => {
    const { child } = planFor({ minReplicas: 0, maxReplicas: 3 });

    expect(child('HorizontalPodAutoscaler')).toEqual({
      scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'shared-predictor' },
      minReplicas: 1,
      maxReplicas: 3,
      metrics: [
        { type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } },
      ],
    });
    expect(child('Deployment')).not.toHaveProperty('replicas');
  });

  it("takes KServe's metrics and behaviour", () => {
    const behavior = { scaleDown: { stabilizationWindowSeconds: 60 } };
    const target = { type: 'AverageValue', averageValue: '500Mi' };
    const metrics = [{ type: 'Resource', resource: { name: 'memory', target } }];
    const { child, unsupported } = planFor({ maxReplicas: 3, autoScaling: { metrics, behavior } });

    expect(child('HorizontalPodAutoscaler')).toMatchObject({ metrics, behavior });
    expect(unsupported).toEqual([]);
  });

  it("is KEDA's on request, down to no replica", () => {
    const external = {
      metric: { backend: 'prometheus', serverAddress: 'http://prometheus:9090', query: 'up' },
      target: { type: 'Value', value: '7' },
    };
    const { child } = planFor(
      { minReplicas: 0, maxReplicas: 3, autoScaling: { metrics: [{ type: 'External', external }] } },
      keda,
    );

    expect(child('ScaledObject')).toMatchObject({
      scaleTargetRef: { name: 'shared-predictor' },
      minReplicaCount: 0,
      maxReplicaCount: 3,
      triggers: [
        {
          type: 'prometheus',
          metadata: { serverAddress: 'http://prometheus:9090', query: 'up', threshold: '7' },
        },
      ],
    });
    expect(planFor({ maxReplicas: 3 }, keda).child('ScaledObject')).toMatchObject({
      triggers: [{ type: 'cpu', metricType: 'Utilization', metadata: { value: '80' } }],
    });
    expect(child('HorizontalPodAutoscaler')).toBeUndefined();
  });

  it.each([
    ['external', undefined],
    ['none', 1],
  ])('with class %s is nothing of ours', (named, replicas) => {
    const { child } = planFor({ maxReplicas: 3 }, { 'serving.kserve.io/autoscalerClass': named });

    expect(child('HorizontalPodAutoscaler')).toBeUndefined();
    expect((child('Deployment') as { readonly replicas?: number }).replicas).toBe(replicas);
  });

  it('names what it does not do', () => {
    const metrics = [{ type: 'PodMetric' }, { type: 'External', external: { metric: { backend: 'prometheus' } } }];

    expect(planFor({ maxReplicas: 2, scaleMetric: 'rps' }).unsupported).toEqual(['spec.predictor.scaleMetric']);
    expect(planFor({ maxReplicas: 2, autoScaling: { metrics } }).unsupported).toEqual([
      'spec.predictor.autoScaling.metrics[0]',
      'spec.predictor.autoScaling.metrics[1]',
    ]);
  });
});
