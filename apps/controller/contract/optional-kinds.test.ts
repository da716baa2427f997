import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { resources } from '../src/cluster.ts';
import { names } from '../src/testing/builders.ts';
import { httpRoutes, scaledObjects } from './optional-kinds.ts';
import { applyService, conditionOf, definitions, openWorld, real, startController, type World } from './world.ts';

const forever = new AbortController().signal;
/** The controller looks again for a kind that is missing every fifteen seconds. */
const soon = { timeout: 40_000 };

const keda = { 'serving.kserve.io/autoscalerClass': 'keda' };
const settings = 'inferenceservice-config';

describe(`kinds that a cluster may not have (${real === undefined ? 'embedded' : 'real'} API server)`, () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
    for (const { metadata } of [httpRoutes, scaledObjects]) {
      world.closers.push(() => world.kube.delete(definitions, { name: metadata.name }, forever));
    }
    const controller = await startController(world);
    await controller.leading;
  });
  afterAll(() => world?.close());

  const ingress = (domain: string, more: object = {}) => ({
    ingress: JSON.stringify({
      ...{ ingressDomain: domain, enableGatewayApi: true, kserveIngressGateway: 'gateways/public' },
      ...more,
    }),
  });
  const patchSettings = (data: object) =>
    world.kube.patch(resources.configMaps, { namespace: world.system, name: settings }, { data }, forever);
  const patchService = (change: object) =>
    world.kube.patch(names.inferenceServices, { namespace: world.namespace, name: 'shared' }, change, forever);
  const missing = () => conditionOf(world, names.inferenceServices, 'shared', 'KindMissing');
  const route = () => world.kube.get(resources.httpRoutes, world.system, 'roundhouse', forever);
  const scaled = () => world.kube.get(resources.scaledObjects, world.namespace, 'shared-predictor', forever);

  it('are named by a condition while everything else is made', async () => {
    const metadata = { name: settings, namespace: world.system };
    const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: ingress('ml.example.org') };
    await world.kube.create(resources.configMaps, configMap, forever);
    await applyService(world, 'shared', { onnx: {}, minReplicas: 1, maxReplicas: 3 });
    await patchService({ metadata: { annotations: keda } });

    await expect.poll(missing, soon).toMatchObject({
      status: 'True',
      reason: 'NotInstalled',
      message:
        'this cluster has no ScaledObject of keda.sh/v1alpha1, no HTTPRoute of gateway.networking.k8s.io/v1: ' +
        'install what brings it, or do not ask for it',
    });
    for (const resource of [resources.deployments, resources.services, resources.budgets]) {
      const child = () => world.kube.get(resource, world.namespace, 'shared-predictor', forever);
      await expect.poll(child, soon).toBeDefined();
    }
    expect(await conditionOf(world, names.inferenceServices, 'shared', 'PredictorReady')).not.toMatchObject({
      reason: 'ApplyFailed',
    });
  });

  it('are made once they are there, as the API server takes them', { timeout: 90_000 }, async () => {
    for (const definition of [httpRoutes, scaledObjects]) await world.kube.create(definitions, definition, forever);

    // All that we write is there: nothing was dropped that their schemas do not know.
    await expect.poll(scaled, soon).toMatchObject({
      spec: {
        scaleTargetRef: { name: 'shared-predictor' },
        minReplicaCount: 1,
        maxReplicaCount: 3,
        advanced: { horizontalPodAutoscalerConfig: { behavior: { scaleUp: { stabilizationWindowSeconds: 0 } } } },
        triggers: [{ type: 'cpu', metricType: 'Utilization', metadata: { value: '80' } }],
      },
    });
    await expect.poll(route, soon).toMatchObject({
      spec: {
        parentRefs: [{ kind: 'Gateway', namespace: 'gateways', name: 'public' }],
        hostnames: ['*.ml.example.org'],
        rules: [
          {
            matches: [{ path: { type: 'PathPrefix', value: '/' } }],
            backendRefs: [{ kind: 'Service', name: 'roundhouse-router', port: 80 }],
            timeouts: { request: '60s' },
          },
        ],
      },
    });
    await expect.poll(missing, soon).toBeUndefined();
  });

  it('follow what the service and the settings ask for', async () => {
    await patchService({ spec: { predictor: { maxReplicas: 5 } } });
    await patchSettings(ingress('models.example.org'));

    await expect.poll(scaled, soon).toMatchObject({ spec: { maxReplicaCount: 5 } });
    await expect.poll(route, soon).toMatchObject({ spec: { hostnames: ['*.models.example.org'] } });
  });

  it('go when nobody asks for them any more', async () => {
    await patchService({ metadata: { annotations: { 'serving.kserve.io/autoscalerClass': null } } });
    await patchSettings(ingress('models.example.org', { disableIngressCreation: true }));

    await expect.poll(scaled, soon).toBeUndefined();
    await expect.poll(route, soon).toBeUndefined();
  });
});
