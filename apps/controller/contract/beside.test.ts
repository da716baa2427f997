import { besideGroup, namesFor, type ResourceName } from '@roundhouse/crds';
import type { KubeObject } from '@roundhouse/kube';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resources } from '../src/cluster.ts';
import { type Counted, startCountingProxy } from './counting-proxy.ts';
import {
  applyModel,
  applyService,
  conditionOf,
  makeReady,
  openWorld,
  ownedBy,
  podOf,
  real,
  runAgent,
  startController,
  tokenFor,
  type World,
} from './world.ts';

/** A cluster where KServe stays, with a service of the same name in the same namespace, and models of the same names. */
const forever = new AbortController().signal;
const soon = { timeout: 15_000 };
const kserve = namesFor();
const beside = namesFor(besideGroup);

/** What KServe's pod webhook selects by. */
const selectedByKServe = 'serving.kserve.io/inferenceservice';

describe(`beside KServe (${real === undefined ? 'embedded' : 'real'} API server)`, () => {
  let world: World;
  let proxy: Awaited<ReturnType<typeof startCountingProxy>>;
  let pod: KubeObject;
  let before: readonly unknown[];

  beforeAll(async () => {
    world = await openWorld(besideGroup);
    await makeTheirs();
    before = await theirs();
    proxy = await startCountingProxy(world.kubeconfig, world.directory);
    world.closers.push(proxy.close);
    const { leading } = await startController(world, proxy.kubeconfig);
    const { port } = await leading;
    // Whoever copies a manifest copies its labels.
    await applyService(world, 'shared', { onnx: {}, labels: { [selectedByKServe]: 'shared', team: 'a' } });
    pod = await podOf(world, 'shared');
    await makeReady(world, 'shared', pod);
    const token = await tokenFor(world, { namespace: world.namespace, name: 'default' }, pod);
    runAgent(world, 'shared', pod, { port, token: async () => token });
    for (const name of ['iris', 'wine']) await applyModel(world, name, 'shared');
  });
  afterAll(() => world?.close());

  const create = (resource: ResourceName, apiVersion: string, metadata: object, rest: object) =>
    world.kube.create(
      resource,
      { apiVersion, kind: resource.kind, metadata: { namespace: world.namespace, ...metadata }, ...rest },
      forever,
    );

  /** What KServe has in the namespace: a shared service with its children, and a model. */
  const makeTheirs = async () => {
    const service = await applyService({ ...world, names: kserve }, 'shared');
    const labels = { [selectedByKServe]: 'shared', app: kserve.app('shared'), component: 'predictor' };
    const owner = { ...ownedBy({ ...service, apiVersion: 'serving.kserve.io/v1beta1', kind: 'InferenceService' }) };
    const child = (name: string) => ({ name, labels, ownerReferences: [{ ...owner, blockOwnerDeletion: true }] });
    const selector = { app: kserve.app('shared') };
    const container = { name: 'kserve-container', image: 'kserve/sklearnserver:v0.21.0' };
    const template = { metadata: { labels }, spec: { containers: [container] } };
    const deployment = { spec: { replicas: 0, selector: { matchLabels: selector }, template } };
    await create(resources.deployments, 'apps/v1', child(kserve.predictor('shared')), deployment);
    const ports = [{ name: 'http', port: 80, targetPort: 8080 }];
    await create(resources.services, 'v1', child(kserve.predictor('shared')), { spec: { selector, ports } });
    const models = { 'models.json': '[{"modelName":"iris"}]' };
    await create(resources.configMaps, 'v1', child(kserve.modelConfig('shared', 0)), { data: models });
    await applyModel({ ...world, names: kserve }, 'iris', 'shared');
    const target = { namespace: world.namespace, name: 'iris' };
    const metadata = { finalizers: [kserve.finalizer], labels: { inferenceservice: 'shared' } };
    await world.kube.patch(kserve.trainedModels, target, { metadata }, forever);
  };

  /** KServe's objects, but for what the API server's own controllers write. */
  const theirs = async () => {
    const wanted: readonly (readonly [ResourceName, string])[] = [
      [kserve.inferenceServices, 'shared'],
      [kserve.trainedModels, 'iris'],
      [resources.deployments, kserve.predictor('shared')],
      [resources.services, kserve.predictor('shared')],
      [resources.configMaps, kserve.modelConfig('shared', 0)],
    ];
    return await Promise.all(
      wanted.map(async ([resource, name]) => {
        const found = await world.kube.get(resource, world.namespace, name, forever);
        const { uid, generation, labels, finalizers, ownerReferences } = found?.metadata ?? {};
        const status = resource.group === kserve.group ? found?.status : undefined;
        return { uid, generation, labels, finalizers, ownerReferences, spec: found?.spec, data: found?.data, status };
      }),
    );
  };

  const isWrite = ({ verb }: Counted) => !['get', 'list', 'watch'].includes(verb);

  it('makes services and models Ready', async () => {
    for (const name of ['iris', 'wine'])
      await expect
        .poll(() => conditionOf(world, beside.trainedModels, name, 'Ready'), soon)
        .toMatchObject({ status: 'True' });
    expect(await conditionOf(world, beside.inferenceServices, 'shared', 'Ready')).toMatchObject({ status: 'True' });
    const model = await world.kube.get(beside.trainedModels, world.namespace, 'iris', forever);

    expect(model?.metadata.finalizers).toEqual([beside.finalizer]);
    expect(model?.metadata.labels).toMatchObject({ [beside.labels.parent]: 'shared' });
    expect(model?.status).toMatchObject({
      url: `http://rh-shared-${world.namespace}.example.com/v2/models/iris/infer`,
    });
  });

  it("asks nothing of KServe's kinds, and writes none of its objects", async () => {
    const names = [kserve.predictor('shared'), kserve.modelConfig('shared', 0)];
    const written = proxy.requests.filter(isWrite).map(({ path }) => path);

    expect(proxy.requests.filter(({ path }) => path.startsWith(`/apis/${kserve.group}/`))).toEqual([]);
    expect(written.filter((path) => names.some((name) => path.split(/[/?]/).includes(name)))).toEqual([]);
    expect(await theirs()).toEqual(before);
  });

  it("gives no object a label that KServe's pod webhook selects by, and its Services no pod of ours", async () => {
    const { deployments, services, configMaps } = resources;
    const children: readonly (readonly [ResourceName, string])[] = [
      [deployments, beside.predictor('shared')],
      [services, beside.predictor('shared')],
      [configMaps, beside.modelConfig('shared', 0)],
    ];
    const made = await Promise.all(
      children.map(([resource, name]) => world.kube.get(resource, world.namespace, name, forever)),
    );
    const spec = made[0]?.spec as { readonly template?: Pick<KubeObject, 'metadata'> } | undefined;

    for (const metadata of [...made.map((object) => object?.metadata), spec?.template?.metadata, pod.metadata]) {
      expect(metadata?.labels).toMatchObject({ [beside.labels.service]: 'shared' });
      expect(Object.keys(metadata?.labels ?? {}).filter((key) => key.includes('kserve.io/'))).toEqual([]);
    }
    expect(pod.metadata.labels).toMatchObject({ team: 'a' });
    expect(pod.metadata.labels?.app).not.toBe(kserve.app('shared'));
  });

  const selector = { app: 'theirs' };
  const template = { metadata: { labels: selector }, spec: { containers: [{ name: 'theirs', image: 'theirs:1' }] } };
  it.each([
    [
      'Deployment',
      'apps/v1',
      resources.deployments,
      { spec: { replicas: 0, selector: { matchLabels: selector }, template } },
    ],
    ['Service', 'v1', resources.services, { spec: { selector, ports: [{ port: 80 }] } }],
    ['ConfigMap', 'v1', resources.configMaps, { data: { theirs: 'yes' } }],
  ] as const)(
    'does not adopt a %s of its name that somebody else owns, and says so',
    async (_, version, resource, rest) => {
      const service = `taken-${resource.resource}`;
      const name = resource === resources.configMaps ? beside.modelConfig(service, 0) : beside.predictor(service);
      const owner = await create(resources.configMaps, 'v1', { name: `${service}-owner` }, { data: {} });
      const ownerReferences = [ownedBy({ ...owner, apiVersion: 'v1', kind: 'ConfigMap' })];
      // Even our own label does not make it ours.
      const made = await create(
        resource,
        version,
        { name, ownerReferences, labels: { [beside.labels.service]: service } },
        rest,
      );
      await applyService(world, service);
      const verdict = () => conditionOf(world, beside.inferenceServices, service, 'PredictorReady');

      await expect.poll(verdict, soon).toMatchObject({
        status: 'False',
        reason: 'ApplyFailed',
        message: expect.stringMatching(new RegExp(`^${resource.kind} ${name} .*delete or rename it`)),
      });
      const found = await world.kube.get(resource, world.namespace, name, forever);
      const { uid, generation, labels } = made.metadata;
      expect(found).toMatchObject({
        metadata: { uid, labels, ownerReferences, ...(generation !== undefined && { generation }) },
        ...(made.spec !== undefined && { spec: made.spec }),
        ...(made.data !== undefined && { data: made.data }),
      });
    },
  );
});
