import { systemClock } from '@roundhouse/base';
import type { KubeObject } from '@roundhouse/local-cluster';
import { describe, expect, it } from 'vitest';
import { authenticateAgent, authenticateRouter, type Deps, type Reviewed } from './authenticate.ts';
import { openCertificates } from './certificates.ts';
import { resources } from './cluster.ts';
import { installation, names } from './testing/builders.ts';
import { clusterOn, openEmbedded } from './testing/embedded.ts';

const forever = new AbortController().signal;

/** A service with its Deployment, ReplicaSet and pod; and a pod of somebody else with the same name prefix. */
function start(reviewed: Partial<Reviewed> = {}) {
  const { api, close } = openEmbedded();
  const owned = (kind: string, name: string, owner: KubeObject | undefined, fields: object) =>
    ({
      apiVersion: kind === 'Pod' ? 'v1' : 'apps/v1',
      kind,
      metadata: {
        name,
        namespace: 'default',
        ...(owner === undefined
          ? {}
          : {
              ownerReferences: [
                {
                  apiVersion: owner.apiVersion,
                  kind: owner.kind,
                  name: owner.metadata.name,
                  uid: owner.metadata.uid,
                  controller: true,
                },
              ],
            }),
      },
      ...fields,
    }) as KubeObject;
  const labels = { app: 'x' };
  const pod = { containers: [{ name: 'c', image: 'i' }] };
  const template = { selector: { matchLabels: labels }, template: { metadata: { labels }, spec: pod } };
  const service = api.create(names.inferenceServices, {
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: { name: 'shared', namespace: 'default' },
    spec: { predictor: { onnx: {} } },
  });
  const deployment = api.create(
    resources.deployments,
    owned('Deployment', 'shared-predictor', service, { spec: template }),
  );
  const set = api.create(
    resources.replicaSets,
    owned('ReplicaSet', 'shared-predictor-1', deployment, { spec: template }),
  );
  const member = api.create(resources.pods, owned('Pod', 'member', set, { spec: pod }));
  const stranger = api.create(resources.pods, owned('Pod', 'stranger', undefined, { spec: pod }));
  const claim = { namespace: 'default', service: 'shared', podName: 'member', podUid: member.metadata.uid ?? '' };
  const deps: Deps = {
    names,
    cluster: clusterOn(api),
    installation,
    serviceUid: (_, name) => (name === 'shared' ? service.metadata.uid : undefined),
    review: async () => ({
      authenticated: true,
      username: 'system:serviceaccount:default:default',
      podUid: claim.podUid,
      ...reviewed,
    }),
  };
  return { deps, claim, stranger, close };
}

describe('authentication of agents', () => {
  it('admits the pod of the service that it names', async () => {
    const { deps, claim, close } = start();

    await expect(authenticateAgent(deps, 't', claim, forever)).resolves.toBeUndefined();
    close();
  });

  it.each<[string, Partial<Reviewed>, string]>([
    ['a token that is not valid', { authenticated: false }, 'not valid'],
    ['a token of another namespace', { username: 'system:serviceaccount:evil:default' }, 'not of namespace'],
    ['a token of another pod', { podUid: 'other' }, 'not of pod'],
  ])('refuses %s', async (_, reviewed, message) => {
    const { deps, claim, close } = start(reviewed);

    await expect(authenticateAgent(deps, 't', claim, forever)).rejects.toThrow(message);
    close();
  });

  it('refuses a pod that only says that it belongs to the service', async () => {
    const { deps, claim, stranger, close } = start();
    const podUid = stranger.metadata.uid ?? '';
    const lying = { ...claim, podName: 'stranger', podUid };
    const review = async () => ({ authenticated: true, username: 'system:serviceaccount:default:default', podUid });

    await expect(authenticateAgent({ ...deps, review }, 't', lying, forever)).rejects.toThrow('does not belong');
    await expect(authenticateAgent(deps, 't', { ...claim, service: 'other' }, forever)).rejects.toThrow(
      'does not belong',
    );
    await expect(authenticateAgent(deps, 't', { ...claim, podName: 'gone' }, forever)).rejects.toThrow('no pod');
    close();
  });

  it('admits as router only the ServiceAccount of the router', async () => {
    const { deps, close } = start({ username: 'system:serviceaccount:roundhouse-system:roundhouse-router' });
    const agent = start();

    await expect(authenticateRouter(deps, 't', forever)).resolves.toBeUndefined();
    await expect(authenticateRouter(agent.deps, 't', forever)).rejects.toThrow('roundhouse-router');
    close();
    agent.close();
  });
});

describe('certificates in the cluster', () => {
  it('are made once, found again, and published to namespaces', async () => {
    const { api, close } = openEmbedded();
    const deps = { cluster: clusterOn(api), installation, clock: systemClock };
    const first = await openCertificates(deps, forever);
    const second = await openCertificates(deps, forever);
    await second.publish('default', forever);
    await second.publish('default', forever);
    await second.renew(forever);

    expect(second.current()).toEqual(first.current());
    expect(api.get(resources.configMaps, 'default', 'roundhouse-ca')).toMatchObject({
      data: { 'ca.crt': expect.stringContaining('BEGIN CERTIFICATE') },
    });
    expect(JSON.stringify(api.get(resources.configMaps, 'default', 'roundhouse-ca'))).not.toContain('PRIVATE');
    close();
  });
});
