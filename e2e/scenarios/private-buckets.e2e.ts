import { aModel, aService } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemNamespace } from '../frame/installation.ts';
import { openWorld } from '../frame/open-world.ts';
import type { PrivateStores } from '../frame/private-stores.ts';
import { target, until, type World } from '../frame/world.ts';

/**
 * Private buckets by KServe's conventions, as in its own sample: what opens S3 lies in a Secret with settings in its annotations,
 * what opens Google Cloud Storage in a Secret with a key file, and the ServiceAccount lists both.
 */
const keyFile = 'gcloud-application-credentials.json';
/** A kubelet brings a changed Secret to a running pod within a minute or two. */
const mountMs = target === 'local' ? 30_000 : 180_000;

describe('private buckets', () => {
  let world: World;
  let stores: PrivateStores;

  beforeAll(async () => {
    world = await openWorld();
    stores = await world.stores();
    const { s3, gcs } = stores;
    const secrets = [{ name: 'mysecret' }, { name: 'gcs' }];
    const account = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'sa' }, secrets };
    // Whoever wants annotations of a Secret to be in effect lets the controller see that one.
    if (target !== 'local') await world.apply(...permission());
    await world.apply(s3Secret(s3.keys.secretAccessKey), gcsSecret('{}'), account);
    const env = [{ name: 'STORAGE_EMULATOR_HOST', value: gcs.url }];
    const shared = { modelFormat: { name: 'xgboost' }, runtime: 'roundhouse-model-server', env };
    await world.apply(aService('shared', { serviceAccountName: 'sa', model: shared }));
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/shared', '--timeout=60s']);
  });
  afterAll(() => world?.close());

  const loaded = (name: string) =>
    world.kubectl(['wait', '--for=condition=Ready', `tm/${name}`, `--timeout=${mountMs / 1000}s`]);
  const lastFailure = (name: string) =>
    world.kubectl(['get', `tm/${name}`, '-o', 'jsonpath={.status.lastFailure.reason}']);
  const uids = async () => {
    const pods: { items: readonly Pod[] } = JSON.parse(await world.kubectl(['get', 'pods', '-o', 'json']));
    return pods.items.map(({ metadata }) => metadata.uid);
  };

  it('S3: the keys of the Secret, and where it is from its annotations', async () => {
    await world.apply(aModel('m1', 'shared', 's3://private/m1'));
    await loaded('m1');

    expect(await world.predict('shared', 'm1')).toMatchObject({ status: 200, value: 1 });
  });

  it('Google Cloud Storage: a key that is put right is used without a restart', async () => {
    const before = await uids();
    await world.apply(aModel('m3', 'shared', 'gs://private/m3'));
    await until('the key is refused', async () => (await lastFailure('m3')) === 'StorageDenied');
    await world.apply(gcsSecret(stores.gcs.serviceAccountKey));
    await loaded('m3');

    expect(await world.predict('shared', 'm3')).toMatchObject({ status: 200, value: 3 });
    expect(await uids()).toEqual(before);
  });

  it('S3: keys that are rotated are used for what comes next, and never shown', async () => {
    const { secretAccessKey } = stores.s3.keys;
    const before = await uids();
    await world.apply(s3Secret('not-the-key'));
    const isRefused = async () => {
      await world.apply(aModel('m2', 'shared', 's3://private/m2'));
      const failure = await until('m2 is loaded or refused', async () =>
        (await world.readiness('m2')) === 'True' ? 'none' : await lastFailure('m2'),
      );
      if (failure === 'StorageDenied') return true;
      await world.kubectl(['delete', 'tm/m2', '--timeout=20s']);
      return false;
    };
    await until('the pod has the Secret that opens nothing', isRefused, mountMs, 1_000);
    await world.apply(s3Secret(secretAccessKey));
    await loaded('m2');
    const seen = await world.kubectl(['get', 'isvc,tm,events,deployments,pods,configmaps', '-o', 'yaml']);

    expect(await world.predict('shared', 'm2')).toMatchObject({ status: 200, value: 2 });
    expect(await world.predict('shared', 'm1')).toMatchObject({ status: 200, value: 1 });
    expect(await uids()).toEqual(before);
    for (const secret of [secretAccessKey, 'not-the-key', 'PRIVATE KEY']) expect(seen).not.toContain(secret);
  });

  function s3Secret(secretAccessKey: string) {
    const annotations = {
      'serving.kserve.io/s3-endpoint': stores.s3.url.replace('http://', ''),
      'serving.kserve.io/s3-usehttps': '0',
      'serving.kserve.io/s3-region': 'us-east-1',
      'serving.kserve.io/s3-usevirtualbucket': 'false',
    };
    const stringData = { AWS_ACCESS_KEY_ID: stores.s3.keys.accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'mysecret', annotations }, stringData };
  }

  function gcsSecret(key: string) {
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'gcs' }, stringData: { [keyFile]: key } };
  }
});

function permission() {
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  const metadata = { name: 'roundhouse-sees-mysecret' };
  const rules = [{ apiGroups: [''], resources: ['secrets'], resourceNames: ['mysecret'], verbs: ['get'] }];
  const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name };
  const subjects = [{ kind: 'ServiceAccount', namespace: systemNamespace, name: 'roundhouse-controller' }];
  return [
    { apiVersion, kind: 'Role', metadata, rules },
    { apiVersion, kind: 'RoleBinding', metadata, roleRef, subjects },
  ];
}

type Pod = { readonly metadata: { readonly uid: string } };
