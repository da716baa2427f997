import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { aRuntime, aServiceIdentity, installation, names, noConfig, noStorage } from '../testing/builders.ts';
import { planChild, type StoredChild } from './children.ts';
import { type Facts, type Plan, planInferenceService } from './plan.ts';
import type { Runtime } from './runtime.ts';

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

const mlserverEnv = [
  { name: 'MLSERVER_LOAD_MODELS_AT_STARTUP', value: 'false' },
  { name: 'IMPLEMENTATION', value: 'mlserver_sklearn.SKLearnModel' },
];

/** A runtime as KServe ships it, as far as it matters here. */
function upstreamRuntime(name: string, type: string, format: string): Runtime {
  const env = [{ name: 'IMPLEMENTATION', value: '{{.Labels.modelClass}}' }];
  const container = { name: 'kserve-container', image: `kserve/${type}:v1`, args: [], env };
  return {
    name,
    namespaced: false,
    createdMs: 0,
    annotations: { 'serving.kserve.io/server-type': type },
    spec: {
      supportedModelFormats: [{ name: format, autoSelect: true, priority: 9 }],
      protocolVersions: type === 'mlserver' ? ['v2'] : type === 'tritonserver' ? ['v2', 'grpc-v2'] : ['v1', 'v2'],
      containers: [container],
    },
  };
}

type Container = {
  readonly name: string;
  readonly resources: Readonly<Record<'requests' | 'limits', object>>;
  readonly securityContext: object;
};
type Pod = {
  readonly [field: string]: unknown;
  readonly containers: readonly Container[];
  readonly initContainers: readonly Container[];
};

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

  it.each([
    ['spec.explainer', {}, { explainer: {} }],
    ['spec.predictor.logger', { logger: { mode: 'all' } }, {}],
    ['spec.predictor.containerConcurrency', { containerConcurrency: 3 }, {}],
    ['spec.predictor.name', { name: 'blue' }, {}],
    ['spec.predictor.canaryTrafficPercent', { canaryTrafficPercent: 10 }, {}],
  ])('names %s, which it does not do', (path, predictor, spec) => {
    const given = facts({}, { spec: { predictor: { ...onnx, ...predictor }, ...spec } });

    expect(planInferenceService(given)).toMatchObject({ kind: 'apply', unsupported: [path] });
  });

  it.each([
    ['pvc', { onnx: { storageUri: 'pvc://claim/model?key=secret' } }, 'storageUri pvc://'],
    ['a storage spec', { onnx: { storage: { key: 'k', path: 'p' } } }, 'storage of the predictor'],
    ['several', { onnx: {}, storageUris: [{ uri: 's3://b/m' }] }, 'spec.predictor.storageUris'],
  ])('starts nothing for a model of its own from %s', (_, predictor, field) => {
    const plan = planInferenceService(facts(predictor));

    expect(plan).toMatchObject({ kind: 'blocked', trouble: { reason: 'NoSupportingRuntime' }, unsupported: [field] });
    expect(JSON.stringify(plan)).not.toContain('secret');
  });

  it('starts nothing for containers that do not say that they are shared', () => {
    expect(planInferenceService(facts({ containers: [{ name: 'own', image: 'i' }] }))).toMatchObject({
      kind: 'blocked',
      trouble: { message: expect.stringContaining('MULTI_MODEL_SERVER=true') },
    });
  });

  it('takes containers that say so as they are, with the protocol that they name', () => {
    const env = [
      { name: 'MULTI_MODEL_SERVER', value: 'true' },
      { name: 'PROTOCOL', value: 'v2' },
    ];
    const plan = applied(
      planInferenceService(
        facts({
          containers: [
            { image: 'own:1', env },
            { name: 'b', image: 'i' },
          ],
        }),
      ),
    );

    expect(plan.resolution).toMatchObject({ protocol: 'v2', predictor: { multiModel: true }, own: undefined });
    expect(podOf(plan).containers.map(({ name }) => name)).toEqual(['kserve-container', 'b', 'agent']);
  });

  it.each([
    ['kserve-tritonserver', 'tritonserver', { triton: {} }, 'triton', { args: ['--model-control-mode=explicit'] }],
    ['kserve-mlserver', 'mlserver', { sklearn: { protocolVersion: 'v2' } }, 'sklearn', { env: mlserverEnv }],
    [
      'kserve-mlserver',
      'mlserver',
      { model: { modelFormat: { name: 'sklearn' }, runtime: 'kserve-mlserver' } },
      'sklearn',
      {},
    ],
    ['kserve-lgbserver', 'lgbserver', { lightgbm: {} }, 'lightgbm', {}],
    [
      'kserve-xgbserver',
      'xgbserver',
      { xgboost: { runtimeVersion: 'v9' } },
      'xgboost',
      { image: 'kserve/xgbserver:v9' },
    ],
  ])("chooses KServe's %s and makes its server wait to be asked", (name, type, predictor, format, server) => {
    const runtime = upstreamRuntime(name, type, format);
    const plan = applied(planInferenceService(facts(predictor, { runtimes: [aRuntime(), runtime] })));
    const [container] = podOf(plan).containers;

    expect(plan.resolution).toMatchObject({
      runtime: { name },
      protocol: /mlserver|triton/.test(type) ? 'v2' : 'v1',
      predictor: { multiModel: true },
    });
    const { env = [], ...rest } = server as { readonly env?: readonly object[] };
    expect(container).toMatchObject({ ...rest, env: expect.arrayContaining([...env]) });
  });

  it('asks for no more than a limit that the service sets below what its runtime asks for', () => {
    const limits = { cpu: '500m', memory: '512Mi', 'nvidia.com/gpu': '1' };
    const [server] = podOf(applied(planInferenceService(facts({ onnx: { resources: { limits } } })))).containers;

    expect(server?.resources).toEqual({ limits, requests: { cpu: '500m', memory: '512Mi' } });
  });

  it('passes through what a Pod may carry', () => {
    const pod = {
      nodeSelector: { disk: 'fast' },
      tolerations: [{ key: 'nvidia.com/gpu', operator: 'Exists' }],
      priorityClassName: 'high',
      runtimeClassName: 'nvidia',
      imagePullSecrets: [{ name: 'pull' }],
      terminationGracePeriodSeconds: 90,
    };
    const resources = { limits: { 'nvidia.com/gpu': '1' } };
    const annotations = { 'serving.kserve.io/gke-accelerator': 'nvidia-l4' };
    const service = aServiceIdentity({ annotations });
    const plan = applied(planInferenceService(facts({ onnx: { resources }, ...pod }, { service })));
    const rendered = podOf(plan);

    expect(rendered).toMatchObject({
      ...pod,
      nodeSelector: { disk: 'fast', 'cloud.google.com/gke-accelerator': 'nvidia-l4' },
    });
    expect(rendered.containers[0]?.resources.limits).toMatchObject({ 'nvidia.com/gpu': '1', memory: '2Gi' });
  });

  it('runs nothing of a stopped service, but knows what it would be', () => {
    const service = aServiceIdentity({ annotations: { 'serving.kserve.io/stop': 'true' } });
    const plan = applied(planInferenceService(facts(onnx, { service })));

    expect(plan).toMatchObject({ stopped: true, children: [], resolution: { predictor: { multiModel: true } } });
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

  it('takes over what a service of the same name left when it was deleted', () => {
    const [child] = applied(planInferenceService(facts(onnx))).children;
    if (child === undefined) throw new Error('no child');
    const [owner] = child.metadata.ownerReferences ?? [];
    if (owner === undefined) throw new Error('no owner');
    const left = (name: string) => ({
      ...child,
      metadata: { ...child.metadata, ownerReferences: [{ ...owner, name, uid: 'earlier' }] },
    });

    expect(planChild<StoredChild>(child, left(owner.name), 'service-uid')).toMatchObject({
      kind: 'replace',
      object: { metadata: { ownerReferences: [owner] } },
    });
    expect(planChild<StoredChild>(child, left('other'), 'service-uid')?.kind).toBe('foreign');
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
