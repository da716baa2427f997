import { systemClock, systemRandom } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import fc from 'fast-check';
import type { DeploymentStatus } from 'kubernetes-types/apps/v1.js';
import type { PodTemplateSpec } from 'kubernetes-types/core/v1.js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Api, KubeObject } from '../api.ts';
import { deploymentOf, startApi, until } from '../testing/cluster.ts';
import {
  type Deployment,
  deployments,
  endpointSlices,
  type Pod,
  pods,
  portsAnnotation,
  type ReplicaSet,
  replicaSets,
  services,
} from './kinds.ts';
import { planScaling, rollingBounds, templateHash } from './rollout.ts';
import { startWorkloads } from './workloads.ts';

let api: Api;
let workloads: { close(): void };

beforeEach(() => {
  api = startApi();
  workloads = startWorkloads({ api, clock: systemClock, random: systemRandom, log: silentLog });
});

afterEach(() => workloads.close());

const podsNow = () => api.list(pods).items as readonly Pod[];
const statusOf = (name: string) => api.get(deployments, 'default', name)?.status as DeploymentStatus | undefined;
const conditionOf = (name: string, wanted: string) => statusOf(name)?.conditions?.find(({ type }) => type === wanted);

/** Stands in for the node: says that a pod is ready, or not. */
function setReady(pod: Pod, isReady: boolean, port = 20_000): void {
  const annotations = { [portsAnnotation]: JSON.stringify({ main: { 8080: port } }) };
  const current = api.get(pods, 'default', pod.metadata.name) as Pod;
  const updated = api.update(pods, { ...current, metadata: { ...current.metadata, annotations } });
  const conditions = [{ type: 'Ready', status: isReady ? 'True' : 'False' }];
  api.update(
    pods,
    { ...updated, status: { phase: 'Running', podIP: '127.0.0.1', conditions } } as KubeObject,
    'status',
  );
}

function readyAll(): void {
  for (const pod of podsNow()) if (pod.status?.podIP === undefined) setReady(pod, true);
}

function change(name: string, edit: (spec: Deployment['spec']) => object): void {
  const current = api.get(deployments, 'default', name) as Deployment;
  api.update(deployments, { ...current, spec: { ...current.spec, ...edit(current.spec) } } as Deployment);
}

const withArgs = (args: readonly string[]) => (spec: Deployment['spec']) => ({
  template: { ...spec.template, spec: { containers: [{ ...spec.template.spec?.containers[0], args }] } },
});

/** What `kubectl rollout status` waits for. */
const isRolledOut = (name: string, replicas: number) => () => {
  readyAll();
  const status = statusOf(name);
  return (
    status?.observedGeneration === api.get(deployments, 'default', name)?.metadata.generation &&
    status?.updatedReplicas === replicas &&
    status.replicas === replicas &&
    status.availableReplicas === replicas
  );
};

describe('the workload controllers', () => {
  it('make a Deployment the pods it asks for, scale it, and replace what is deleted', async () => {
    api.create(deployments, deploymentOf('web', {}, { spec: { replicas: 2 } }));
    await until('the rollout', isRolledOut('web', 2));
    const [set] = api.list(replicaSets).items;
    const [pod] = podsNow();

    expect(set?.metadata.ownerReferences).toMatchObject([{ kind: 'Deployment', name: 'web', controller: true }]);
    expect(pod?.metadata.ownerReferences).toMatchObject([
      { kind: 'ReplicaSet', name: set?.metadata.name, controller: true },
    ]);
    expect(pod?.metadata.labels?.['pod-template-hash']).toBe(set?.metadata.labels?.['pod-template-hash']);
    expect(pod?.metadata.name).toMatch(new RegExp(`^${set?.metadata.name}-[a-z0-9]{5}$`));
    expect(conditionOf('web', 'Available')?.status).toBe('True');
    await until('the end of progress', () => conditionOf('web', 'Progressing')?.reason === 'NewReplicaSetAvailable');

    change('web', () => ({ replicas: 3 }));
    await until('three pods', isRolledOut('web', 3));
    change('web', () => ({ replicas: 1 }));
    await until('one pod', isRolledOut('web', 1));
    api.delete(pods, 'default', podsNow()[0]?.metadata.name ?? '');
    await until('another pod', isRolledOut('web', 1));
    api.delete(deployments, 'default', 'web');
    await until('no pods', () => podsNow().length === 0);
  });

  it('roll without a gap, and back to the set that was there', async () => {
    api.create(
      deployments,
      deploymentOf(
        'web',
        {},
        { spec: { replicas: 2, strategy: { rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } } } },
      ),
    );
    await until('the rollout', isRolledOut('web', 2));
    const first = api.list(replicaSets).items[0]?.metadata.name;
    let fewest = 2;
    const end = api.watch(pods, api.list(pods), () => {
      const ready = podsNow().filter(({ status }) => status?.conditions?.some((one) => one.status === 'True'));
      fewest = Math.min(fewest, ready.length);
    });

    change('web', withArgs(['--new']));
    await until('the new rollout', isRolledOut('web', 2));
    expect(api.list(replicaSets).items).toHaveLength(2);
    expect(fewest).toBe(2);
    end();
    change('web', () => ({ template: (deploymentOf('web', {}) as Deployment).spec.template }));
    await until(
      'the way back',
      () => isRolledOut('web', 2)() && podsNow().every(({ metadata }) => metadata.name.startsWith(first ?? '-')),
    );
    expect(api.get(replicaSets, 'default', first ?? '')?.metadata.annotations).toMatchObject({
      'deployment.kubernetes.io/revision': '3',
    });
  });

  it('recreate: the old pods are gone before the new ones come', async () => {
    api.create(deployments, deploymentOf('web', {}, { spec: { strategy: { type: 'Recreate' } } }));
    await until('the rollout', isRolledOut('web', 1));
    let most = 0;
    const end = api.watch(pods, api.list(pods), () => {
      most = Math.max(most, podsNow().length);
    });
    const [old] = podsNow();

    change('web', withArgs(['--new']));
    await until('another pod', () => isRolledOut('web', 1)() && podsNow()[0]?.metadata.uid !== old?.metadata.uid);
    expect(most).toBe(1);
    end();
  });

  it('keep endpoints with the actual ports, ready ones only unless all are asked for', async () => {
    const service = (name: string, spec: object): KubeObject => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'default' },
      spec: { selector: { app: 'web' }, ports: [{ name: 'http', port: 80, targetPort: 'http' }], ...spec },
    });
    api.create(services, service('ready', {}));
    api.create(services, service('all', { clusterIP: 'None', publishNotReadyAddresses: true }));
    api.create(deployments, deploymentOf('web', {}));
    const pod = await until('the pod', () => podsNow()[0]);
    setReady(pod, false, 21_000);
    const sliceOf = (name: string) =>
      api.list(endpointSlices, { labels: { 'kubernetes.io/service-name': name } }).items[0] as KubeObject | undefined;
    await until('the slices', () => sliceOf('ready') && sliceOf('all'));

    expect(sliceOf('ready')?.endpoints).toMatchObject([{ addresses: ['127.0.0.1'], conditions: { ready: false } }]);
    expect(sliceOf('all')?.endpoints).toMatchObject([{ conditions: { ready: true, serving: false } }]);
    expect(sliceOf('all')?.ports).toMatchObject([{ name: 'http', port: 21_000 }]);
    setReady(pod, true, 21_000);
    await until('a ready endpoint', () => JSON.stringify(sliceOf('ready')).includes('"ready":true'));
    const current = api.get(pods, 'default', pod.metadata.name) as Pod;
    api.update(pods, { ...current, metadata: { ...current.metadata, labels: {} } });
    await until('the pod to have left', () => sliceOf('ready') === undefined);
  });
});

describe('templateHash', () => {
  it('is the same for what clients write differently, and another for another template', () => {
    const { template } = (deploymentOf('web', {}) as Deployment).spec;
    const { labels } = template.metadata ?? {};
    const likewise = { spec: template.spec, metadata: { creationTimestamp: null, annotations: {}, labels } };

    expect(templateHash(likewise as unknown as PodTemplateSpec)).toBe(templateHash(template));
    expect(templateHash({ ...template, metadata: {} })).not.toBe(templateHash(template));
  });
});

describe('planScaling', () => {
  const setOf = (replicas: number, availableReplicas: number): ReplicaSet =>
    ({ spec: { replicas }, status: { availableReplicas } }) as ReplicaSet;

  it('never has fewer available pods or more pods than it may, and arrives', () => {
    const bound = fc.oneof(
      fc.integer({ min: 0, max: 4 }),
      fc.integer({ min: 0, max: 100 }).map((share) => `${share}%`),
    );
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        bound,
        bound,
        fc.integer({ min: 0, max: 12 }),
        (desired, maxSurge, maxUnavailable, before) => {
          const deployment = {
            spec: { replicas: desired, strategy: { rollingUpdate: { maxSurge, maxUnavailable } } },
          } as Deployment;
          const { surge, unavailable } = rollingBounds({ maxSurge, maxUnavailable }, desired);
          let [next, old] = [setOf(0, 0), setOf(before, before)];
          for (let step = 0; step < 100; step++) {
            const scaling = planScaling(deployment, next, [old], 0);
            if (scaling.size === 0) break;
            const [a, b] = [scaling.get(next) ?? next.spec.replicas ?? 0, scaling.get(old) ?? old.spec.replicas ?? 0];
            const available = Math.min(a, next.status?.availableReplicas ?? 0) + b;
            expect(available).toBeGreaterThanOrEqual(Math.min(desired - unavailable, before));
            expect(a + b).toBeLessThanOrEqual(Math.max(desired + surge, before));
            [next, old] = [setOf(a, a), setOf(b, b)];
          }
          expect([next.spec.replicas, old.spec.replicas]).toEqual([desired, 0]);
        },
      ),
    );
  });
});
