import {
  aModel,
  aService,
  constantModel,
  type FakeGcs,
  type FakeHttpStore,
  type FakeS3,
  startFakeGcs,
  startFakeHttpStore,
  startFakeS3,
  tarOf,
} from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalWorld, openLocalWorld } from '../frame/local-world.ts';
import { type Condition, until } from '../frame/world.ts';

/** Artifacts from each kind of store, with credentials given by KServe's conventions, right and wrong. */

const model = (value: number) => Buffer.from(constantModel(value));

describe('storage', () => {
  let world: LocalWorld;
  let s3: FakeS3;
  let gcs: FakeGcs;
  let web: FakeHttpStore;

  beforeAll(async () => {
    [world, s3, gcs, web] = await Promise.all([openLocalWorld(), startFakeS3(), startFakeGcs(), startFakeHttpStore()]);
    s3.buckets.set('models', new Map([['one/model.json', model(1)]]));
    gcs.buckets.set('models', new Map([['two/model.json', model(2)]]));
    gcs.open.add('models');
    web.files.set('/three/model.json', { body: model(3) });
    web.files.set('/four.tar', { body: tarOf([{ path: 'model.json', body: model(4) }]) });
    web.files.set('/evil.tar', { body: tarOf([{ path: '../../evil.json', body: model(6) }]) });
    web.files.set('/short/model.json', { body: model(7).subarray(0, 200) });
    await world.apply(
      secret('right-keys', s3.keys.accessKeyId, s3.keys.secretAccessKey),
      { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'storage' }, secrets: [{ name: 'right-keys' }] },
      aService('stores', predictor()),
    );
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/stores', '--timeout=20s']);
  });
  afterAll(async () => {
    await world?.close();
    await Promise.all([s3?.close(), gcs?.close(), web?.close()]);
  });

  it('brings models from S3, Google Cloud Storage, the web, and an archive', async () => {
    const uris = ['s3://models/one', 'gs://models/two', `${web.url}/three/model.json`, `${web.url}/four.tar`];
    await world.apply(...uris.map((uri, index) => aModel(`from-${index + 1}`, 'stores', uri)));
    await world.kubectl(['wait', '--for=condition=Ready', 'tm', '--all', '--timeout=20s']);

    for (const value of [1, 2, 3, 4]) {
      expect(await world.predict('stores', `from-${value}`)).toMatchObject({ status: 200, value });
    }
  });

  it.each([
    ['empty storage', () => 's3://models/nothing-here', 'DownloadFailed', /storage\/not-found.*nothing-here/],
    [
      'an archive that tries to leave its folder',
      () => `${web.url}/evil.tar`,
      'DownloadFailed',
      /storage\/(refused|invalid).*\.\./,
    ],
    ['a truncated artifact', () => `${web.url}/short/model.json`, 'LoadFailed', /not a valid XGBoost model/],
  ])('%s: says so, and the others keep answering', async (_, uri, reason, message) => {
    await world.apply(aModel('faulty', 'stores', uri()));
    const ready = await reasonOf('faulty', reason);

    expect(ready.message).toMatch(message);
    expect(await world.predict('stores', 'from-1')).toMatchObject({ status: 200, value: 1 });
    expect(await world.kubectl(['describe', 'tm', 'faulty'])).toMatch(/Warning/);
    await world.kubectl(['delete', 'tm', 'faulty', '--timeout=20s']);
  });

  it('wrong credentials are named without being told, and right ones heal it without a restart', async () => {
    await world.apply(secret('right-keys', s3.keys.accessKeyId, 'not-the-key'));
    s3.buckets.get('models')?.set('five/model.json', model(5));
    await until('the wrong Secret is mounted', async () => {
      await world.apply(aModel('from-5', 'stores', 's3://models/five'));
      const { reason, message = '' } = (await readyOf('from-5')) ?? {};
      if (reason === undefined) return false;
      if (/StorageDenied/.test(message)) return true;
      await world.kubectl(['delete', 'tm', 'from-5', '--ignore-not-found', '--timeout=20s']);
      return false;
    });
    const everything = await world.kubectl(['get', 'tm,events', '-o', 'yaml']);
    await world.apply(secret('right-keys', s3.keys.accessKeyId, s3.keys.secretAccessKey));
    await world.kubectl(['wait', '--for=condition=Ready', 'tm/from-5', '--timeout=30s']);

    expect(everything).not.toContain('not-the-key');
    expect(await world.predict('stores', 'from-5')).toMatchObject({ status: 200, value: 5 });
    expect(await world.predict('stores', 'from-1')).toMatchObject({ status: 200, value: 1 });
  });

  function predictor() {
    const env = [
      { name: 'AWS_ENDPOINT_URL', value: s3.url },
      { name: 'AWS_REGION', value: 'us-east-1' },
      { name: 'STORAGE_EMULATOR_HOST', value: gcs.url },
    ];
    const shared = { modelFormat: { name: 'xgboost' }, runtime: 'roundhouse-model-server', env };
    return { serviceAccountName: 'storage', model: shared };
  }

  async function readyOf(name: string): Promise<Condition | undefined> {
    const path = `/apis/serving.kserve.io/v1alpha1/namespaces/default/trainedmodels/${name}`;
    const { status } = await world.api.get<{ status?: { conditions?: readonly Condition[] } }>(path);
    return status?.conditions?.find(({ type }) => type === 'Ready');
  }

  const reasonOf = (name: string, reason: string) =>
    until(`${name} has a reason like ${reason}`, async () => {
      const ready = await readyOf(name);
      return ready?.status === 'False' && ready.reason === reason ? ready : undefined;
    });
});

function secret(name: string, accessKeyId: string, secretAccessKey: string) {
  const stringData = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData };
}
