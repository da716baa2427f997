import { systemClock, systemRandom } from '@roundhouse/base';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEventRecorder } from './event-recorder.ts';
import { createInformer } from './informer.ts';
import { type Kube, openKube } from './kube.ts';
import { runAsLeader } from './leader.ts';
import type { KubeObject, Resource } from './object.ts';
import { openEmbeddedApi, until } from './testing/embedded-api.ts';

const configMaps: Resource = { group: '', version: 'v1', resource: 'configmaps' };
const leases: Resource = { group: 'coordination.k8s.io', version: 'v1', resource: 'leases' };
const events: Resource = { group: '', version: 'v1', resource: 'events' };
const signal = new AbortController().signal;

const configMap = (name: string, data: Record<string, string> = {}, labels: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'default', name, labels },
  data,
});

describe('the Kubernetes client', () => {
  let kube: Kube;
  let close: () => Promise<void>;

  beforeAll(async () => {
    ({ kube, close } = await openEmbeddedApi());
  });
  afterAll(() => close());

  it('creates, reads, patches, replaces and deletes', async () => {
    await kube.create(configMaps, configMap('crud', { a: '1' }), signal);
    await kube.patch(configMaps, { namespace: 'default', name: 'crud' }, { data: { b: '2' } }, signal);
    const stored = (await kube.get(configMaps, 'default', 'crud', signal)) as KubeObject;
    await kube.replace(configMaps, { ...stored, data: { c: '3' } }, signal);

    expect(await kube.get(configMaps, 'default', 'crud', signal)).toMatchObject({
      kind: 'ConfigMap',
      data: { c: '3' },
    });
    await expect(kube.replace(configMaps, stored, signal)).rejects.toMatchObject({ code: 'kube/conflict' });
    await kube.delete(configMaps, { namespace: 'default', name: 'crud', uid: 'of-another' }, signal);
    expect(await kube.get(configMaps, 'default', 'crud', signal)).toBeDefined();
    await kube.delete(configMaps, { namespace: 'default', name: 'crud' }, signal);
    expect(await kube.get(configMaps, 'default', 'crud', signal)).toBeUndefined();
    await kube.delete(configMaps, { namespace: 'default', name: 'crud' }, signal);
  });

  it.each<[string, () => Promise<unknown>, string]>([
    [
      'a name that is taken',
      () => kube.create(configMaps, configMap('kube-root-ca.crt'), signal),
      'kube/already-exists',
    ],
    [
      'an object that is none',
      () => kube.create(configMaps, { metadata: { namespace: 'default' } }, signal),
      'kube/invalid',
    ],
    ['a resource that is not there', () => kube.replace(configMaps, configMap('nothing'), signal), 'kube/not-found'],
    [
      'a kind that the server does not have',
      () => kube.list({ ...configMaps, resource: 'nothings' }, {}, signal),
      'kube/no-kind',
    ],
  ])('%s has an error of its own', async (_, act, code) => {
    await kube.create(configMaps, configMap('kube-root-ca.crt'), signal).catch(() => {});

    await expect(act()).rejects.toMatchObject({ code });
  });

  it('says that an API server cannot be reached', async () => {
    await expect(openKube({ kubeconfigPath: '/nowhere/kubeconfig' })).rejects.toThrow(/nowhere/);
  });

  it('follows a collection, through a list of many pages and through changes', async () => {
    for (let n = 0; n < 30; n++) await kube.create(configMaps, configMap(`seen-${n}`, {}, { app: 'seen' }), signal);
    const stop = new AbortController();
    const seen: string[] = [];
    const informer = createInformer(
      { kube, clock: systemClock, random: systemRandom, onTrouble: () => {} },
      {
        resource: configMaps,
        labelSelector: 'app=seen',
        strip: ({ apiVersion, kind, metadata }) => ({ apiVersion, kind, metadata }),
        onChange: (key, before, after) => seen.push(`${before ? 'x' : '-'}${after ? 'x' : '-'} ${key}`),
      },
    );
    const running = informer.run(stop.signal);
    await informer.synced;
    expect([...informer.list()]).toHaveLength(30);
    seen.length = 0;
    await kube.patch(configMaps, { namespace: 'default', name: 'seen-3' }, { data: { a: '1' } }, signal);
    await kube.delete(configMaps, { namespace: 'default', name: 'seen-3' }, signal);
    await kube.create(configMaps, configMap('unseen', {}, { app: 'other' }), signal);
    await kube.create(configMaps, configMap('seen-30', {}, { app: 'seen' }), signal);
    await until(() => seen.length >= 3);

    expect(seen).toEqual(['xx default/seen-3', 'x- default/seen-3', '-x default/seen-30']);
    expect(informer.get('default/seen-4')).not.toHaveProperty('data');
    stop.abort();
    await running;
  });

  it('lets one lead at a time, with a growing epoch, and hands over when the leader ends', async () => {
    const deps = { kube, clock: systemClock, random: () => 0, onTrouble: () => {} };
    const lease = { namespace: 'default', name: 'leader' };
    const terms: string[] = [];
    const first = new AbortController();
    const second = new AbortController();
    const leadUntil = (name: string) => async (epoch: number, leading: AbortSignal) => {
      terms.push(`${name} ${epoch}`);
      await new Promise((resolve) => leading.addEventListener('abort', resolve, { once: true }));
    };
    const a = runAsLeader(deps, { ...lease, identity: 'a' }, leadUntil('a'), first.signal);
    await until(() => terms.length === 1);
    const b = runAsLeader(deps, { ...lease, identity: 'b' }, leadUntil('b'), second.signal);
    first.abort();
    await a;
    await until(() => terms.length === 2);
    second.abort();

    expect(terms).toEqual(['a 1', 'b 2']);
    expect(await b).toEqual({ lost: false });
    expect(await kube.get(leases, 'default', 'leader', signal)).toMatchObject({ spec: { holderIdentity: '' } });
  });

  it('takes its own Lease back at once after a crash, under a new epoch', async () => {
    const deps = { kube, clock: systemClock, random: () => 0, onTrouble: () => {} };
    const options = { namespace: 'default', name: 'crashed', identity: 'pod-1' };
    const held = {
      holderIdentity: 'pod-1',
      leaseTransitions: 7,
      renewTime: new Date().toISOString().replace('Z', '000Z'),
    };
    const object = {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { namespace: 'default', name: 'crashed' },
      spec: held,
    };
    await kube.create(leases, object, signal);
    const epochs: number[] = [];
    await runAsLeader(deps, options, async (epoch) => void epochs.push(epoch), signal);

    expect(epochs).toEqual([8]);
  });

  it('counts repeats of one Event instead of writing it again', async () => {
    const regarding = (await kube.create(configMaps, configMap('regarded'), signal)) as KubeObject;
    const recorder = createEventRecorder({
      kube,
      clock: systemClock,
      component: 'test',
      instance: 'here',
      onTrouble: () => {},
    });
    for (let n = 0; n < 3; n++) {
      recorder.record(regarding, { type: 'Warning', reason: 'LoadFailed', message: 'no such file' });
      await recorder.flush();
    }
    recorder.record(regarding, { type: 'Normal', reason: 'Loaded', message: 'loaded' });
    await recorder.flush();
    const { items } = await kube.list(events, { namespace: 'default' }, signal);
    const own = items.filter((item) => (item.involvedObject as { name: string }).name === 'regarded');

    expect(own.map(({ reason, count }) => ({ reason, count }))).toEqual(
      expect.arrayContaining([
        { reason: 'LoadFailed', count: 3 },
        { reason: 'Loaded', count: 1 },
      ]),
    );
    expect(own).toHaveLength(2);
  });
});
