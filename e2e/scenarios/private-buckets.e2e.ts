import {
  aModel,
  aService,
  constantModel,
  type FakeGcs,
  type FakeS3,
  startFakeGcs,
  startFakeS3,
} from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openLocalWorld } from '../frame/local-world.ts';
import type { World } from '../frame/world.ts';

/**
 * Private buckets by KServe's conventions, as in its own sample: what opens S3 lies in a Secret with settings in its annotations,
 * what opens Google Cloud Storage in a Secret with a key file, and the ServiceAccount lists both.
 */
const model = (value: number) => Buffer.from(constantModel(value));
const keyFile = 'gcloud-application-credentials.json';

describe('private buckets', () => {
  let world: World;
  let s3: FakeS3;
  let gcs: FakeGcs;

  beforeAll(async () => {
    [world, s3, gcs] = await Promise.all([openLocalWorld(), startFakeS3(), startFakeGcs()]);
    s3.buckets.set('private', new Map([1, 2].map((value) => [`m${value}/model.json`, model(value)])));
    gcs.buckets.set('private', new Map([3, 4].map((value) => [`m${value}/model.json`, model(value)])));
    await world.apply(s3Secret(s3.keys.secretAccessKey), gcsSecret('{}'), {
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name: 'sa' },
      secrets: [{ name: 'mysecret' }, { name: 'gcs' }],
    });
    const env = [{ name: 'STORAGE_EMULATOR_HOST', value: gcs.url }];
    const shared = { modelFormat: { name: 'xgboost' }, runtime: 'roundhouse-model-server', env };
    await world.apply(aService('shared', { serviceAccountName: 'sa', model: shared }));
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/shared', '--timeout=20s']);
  });
  afterAll(async () => {
    await world?.close();
    await Promise.all([s3?.close(), gcs?.close()]);
  });

  const until = (name: string) => world.kubectl(['wait', '--for=condition=Ready', `tm/${name}`, '--timeout=30s']);
  const pods = async () => JSON.parse(await world.kubectl(['get', 'pods', '-o', 'json'])).items as readonly Pod[];
  const uids = async () => (await pods()).map(({ metadata }) => metadata.uid);

  it('S3: the keys of the Secret, and where it is from its annotations', async () => {
    await world.apply(aModel('m1', 'shared', 's3://private/m1'));
    await until('m1');

    expect(await world.predict('shared', 'm1')).toMatchObject({ status: 200, value: 1 });
  });

  it('Google Cloud Storage: a key that is put right is used without a restart', async () => {
    const before = await uids();
    await world.apply(aModel('m3', 'shared', 'gs://private/m3'));
    await world.kubectl([
      'wait',
      '--for=jsonpath={.status.lastFailure.reason}=StorageDenied',
      'tm/m3',
      '--timeout=20s',
    ]);
    await world.apply(gcsSecret(gcs.serviceAccountKey));
    await until('m3');

    expect(await world.predict('shared', 'm3')).toMatchObject({ status: 200, value: 3 });
    expect(await uids()).toEqual(before);
  });

  it('S3: keys that are rotated are used for what comes next, and never shown', async () => {
    const before = await uids();
    await world.apply(s3Secret('not-the-key'));
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/shared', '--timeout=20s']);
    await world.apply(s3Secret(s3.keys.secretAccessKey), aModel('m2', 'shared', 's3://private/m2'));
    await until('m2');
    const seen = await world.kubectl(['get', 'isvc,tm,events,deployments,pods,configmaps', '-o', 'yaml']);

    expect(await world.predict('shared', 'm2')).toMatchObject({ status: 200, value: 2 });
    expect(await uids()).toEqual(before);
    for (const secret of [s3.keys.secretAccessKey, 'not-the-key', 'PRIVATE KEY']) expect(seen).not.toContain(secret);
  });

  function s3Secret(secretAccessKey: string) {
    const annotations = {
      'serving.kserve.io/s3-endpoint': s3.url.replace('http://', ''),
      'serving.kserve.io/s3-usehttps': '0',
      'serving.kserve.io/s3-region': 'us-east-1',
      'serving.kserve.io/s3-usevirtualbucket': 'false',
    };
    const stringData = { AWS_ACCESS_KEY_ID: s3.keys.accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'mysecret', annotations }, stringData };
  }

  function gcsSecret(key: string) {
    return { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'gcs' }, stringData: { [keyFile]: key } };
  }
});

type Pod = { readonly metadata: { readonly uid: string } };
