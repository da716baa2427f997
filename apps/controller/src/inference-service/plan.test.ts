import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { aRuntime, aServiceIdentity, installation, names, noConfig, noStorage } from '../testing/builders.ts';
import { planChild, type StoredChild } from './children.ts';
import { type Facts, type Plan, planInferenceService } from './plan.ts';

const facts = (predictor: object, change: Partial<Facts> = {}): Facts => ({
  names,
  service: aServiceIdentity(),
  spec: { predictor },
  runtimes: [aRuntime()],
  config: noConfig,
  storage: noStorage,
  fileRoots: [],
  installation,
  ...change,
});

const onnx = { model: { modelFormat: { name: 'onnx' } } };
const goldens = [
  ['model.yaml', facts({ ...onnx, minReplicas: 2 })],
  [
    'framework-key.yaml',
    facts(
      {
        xgboost: { env: [{ name: 'AWS_ENDPOINT_URL', value: 'http://s3' }], resources: { limits: { memory: '4Gi' } } },
        serviceAccountName: 'reader',
        nodeSelector: { disk: 'fast' },
        labels: { team: 'a' },
      },
      { storage: { secrets: ['storage'], env: {} }, fileRoots: ['/models'] },
    ),
  ],
] as const;

function applied(plan: Plan) {
  if (plan.kind === 'blocked') throw new Error(plan.trouble.message);
  return plan;
}

type Container = {
  readonly name: string;
  readonly resources: Readonly<Record<'requests' | 'limits', object>>;
  readonly securityContext: object;
};
type Pod = { readonly containers: readonly Container[]; readonly initContainers: readonly Container[] };

function podOf({ children }: { readonly children: readonly { readonly kind: string; readonly spec: object }[] }): Pod {
  const deployment = children.find(({ kind }) => kind === 'Deployment');
  if (deployment === undefined) throw new Error('no Deployment');
  return (deployment.spec as { readonly template: { readonly spec: Pod } }).template.spec;
}

describe('planInferenceService', () => {
  it.each(goldens)('renders %s', async (file, given) => {
    const { children } = applied(planInferenceService(given));
    const text = children.map((child) => stringify(child, { aliasDuplicateObjects: false })).join('---\n');

    await expect(text).toMatchFileSnapshot(join(import.meta.dirname, '__golden__', file));
  });

  it.each([
    ['an invalid spec', facts({ onnx: {}, sklearn: {} }), 'InvalidPredictorSpec', 'exactly one'],
    [
      'a runtime that does not exist',
      facts({ model: { modelFormat: { name: 'onnx' }, runtime: 'x' } }),
      'RuntimeNotRecognized',
      '"x"',
    ],
    [
      'a disabled runtime',
      facts(
        { model: { modelFormat: { name: 'onnx' }, runtime: 'roundhouse-model-server' } },
        { runtimes: [aRuntime({ spec: { ...aRuntime().spec, disabled: true } })] },
      ),
      'RuntimeDisabled',
      'disabled',
    ],
    ['a format nobody serves', facts({ sklearn: {} }), 'NoSupportingRuntime', 'onnx, xgboost, lightgbm'],
    [
      'a protocol nobody speaks',
      facts({ model: { ...onnx.model, protocolVersion: 'grpc-v1' } }),
      'NoSupportingRuntime',
      'grpc-v1',
    ],
  ])('blocks %s with its reason', (_, given, reason, word) => {
    const plan = planInferenceService(given);

    expect(plan).toMatchObject({ kind: 'blocked', trouble: { reason, message: expect.stringContaining(word) } });
  });

  it.each([
    ['the limit less a tenth', '2Gi', 2 * 2 ** 30 - Math.ceil(0.2 * 2 ** 30)],
    ['at least 64Mi for a small server', '256Mi', 192 * 2 ** 20],
    ['nothing when the limit is below the reserve', '32Mi', 0],
  ])('leaves for models %s', (_, memory, bytes) => {
    const plan = planInferenceService(facts({ onnx: { resources: { limits: { memory } } } }));

    expect(applied(plan).resolution.capacityBytes).toBe(bytes);
  });

  const withResources = (resources?: object) => {
    const { spec } = aRuntime();
    const containers = spec.containers.map(({ resources: _, ...container }) => ({ ...container, ...resources }));
    return facts(onnx, { runtimes: [aRuntime({ spec: { ...spec, containers } })] });
  };

  it('checks no memory where it is asked for without a limit', () => {
    const plan = planInferenceService(withResources({ resources: { requests: { memory: '1Gi' } } }));

    expect(applied(plan).resolution.capacityBytes).toBeUndefined();
  });

  it('gives requests and limits to every container that has none, as quotas want them', () => {
    const given = withResources();
    const spec = {
      predictor: {
        ...onnx,
        containers: [{ name: 'sidecar', image: 'i' }],
        initContainers: [{ name: 'first', image: 'i' }],
      },
    };
    const plan = applied(planInferenceService({ ...given, spec }));
    const pod = podOf(plan);

    for (const container of [...pod.containers, ...pod.initContainers]) {
      for (const kind of ['requests', 'limits'] as const) {
        expect(container.resources[kind]).toEqual({ cpu: expect.anything(), memory: expect.anything() });
      }
      expect(container.securityContext).toMatchObject({
        allowPrivilegeEscalation: false,
        capabilities: { drop: ['ALL'] },
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      });
    }
    expect(pod.containers.map(({ name }) => name)).toEqual(['kserve-container', 'sidecar', 'agent']);
    expect(plan.resolution.capacityBytes).toBe(2 * 2 ** 30 - Math.ceil(0.2 * 2 ** 30));
  });

  it('names the fields that it does not do', () => {
    const given = facts({ ...onnx, batcher: {} }, { spec: { predictor: { ...onnx, batcher: {} }, transformer: {} } });

    expect(planInferenceService(given).unsupported).toEqual(['spec.transformer', 'spec.predictor.batcher']);
  });

  it('changes no pod template when models come and go, and none on the same facts', () => {
    const [first, second] = [planInferenceService(facts(onnx)), planInferenceService(facts(onnx))];

    expect(applied(first).children).toEqual(applied(second).children);
  });
});

describe('planChild', () => {
  const anyPredictor = fc.record(
    {
      minReplicas: fc.nat(5),
      labels: fc.dictionary(fc.string(), fc.string()),
      nodeSelector: fc.dictionary(fc.string(), fc.string()),
    },
    { requiredKeys: [] },
  );
  const carriedOut = (predictor: object, current?: StoredChild) =>
    applied(planInferenceService(facts({ ...onnx, ...predictor }))).children.map((child) => {
      const step = planChild<StoredChild>(child, current, 'service-uid');
      return step === undefined || step.kind === 'foreign' ? undefined : step.object;
    });

  it('has nothing left to do once its own plan is carried out, whatever defaults were added', () => {
    fc.assert(
      fc.property(anyPredictor, (predictor) => {
        for (const [index, child] of applied(
          planInferenceService(facts({ ...onnx, ...predictor })),
        ).children.entries()) {
          const made = carriedOut(predictor)[index] as StoredChild;
          const stored = { ...made, status: {}, spec: { ...(made.spec as object), clusterIP: '10.0.0.1' } };

          expect(planChild(child, stored, 'service-uid')).toBeUndefined();
        }
      }),
    );
  });

  it("leaves another's object alone and says so", () => {
    const [child] = applied(planInferenceService(facts(onnx))).children;
    const foreign = { metadata: { name: 'shared-predictor', namespace: 'default' } };

    expect(child && planChild(child, foreign, 'service-uid')).toMatchObject({
      kind: 'foreign',
      message: expect.stringContaining('shared-predictor'),
    });
  });
});
