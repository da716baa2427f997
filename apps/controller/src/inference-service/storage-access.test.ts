import { besideGroup, namesFor } from '@roundhouse/crds';
import { KubeError } from '@roundhouse/kube';
import { describe, expect, it } from 'vitest';
import { type Cluster, resources, type Stored } from '../cluster.ts';
import { names, noConfig } from '../testing/builders.ts';
import { clusterOn, openEmbedded } from '../testing/embedded.ts';
import { parseServiceConfig } from './service-config.ts';
import { loadStorageAccess } from './storage-access.ts';

const forever = new AbortController().signal;

/** KServe's sample: a Secret with settings in its annotations, and an account that lists it. */
function start() {
  const { api, close } = openEmbedded();
  const create = (kind: 'Secret' | 'ServiceAccount', name: string, fields: object, annotations: object = {}) =>
    api.create(kind === 'Secret' ? resources.secrets : resources.serviceAccounts, {
      apiVersion: 'v1',
      kind,
      metadata: { name, namespace: 'default', annotations: annotations as Readonly<Record<string, string>> },
      ...fields,
    });
  create(
    'Secret',
    'mysecret',
    { data: { AWS_SECRET_ACCESS_KEY: 'c2VjcmV0' } },
    {
      'serving.kserve.io/s3-endpoint': 'minio-service:9000',
      'serving.kserve.io/s3-usehttps': '0',
      'serving.kserve.io/s3-region': 'us-east-2',
    },
  );
  create('ServiceAccount', 'sa', { secrets: [{ name: 'mysecret' }, { name: 'another' }] });
  return { cluster: clusterOn(api), create, close };
}

const service = (predictor: object, annotations: Readonly<Record<string, string>> = {}): Stored => ({
  apiVersion: 'serving.kserve.io/v1beta1',
  kind: names.inferenceServices.kind,
  metadata: { name: 'shared', namespace: 'default', annotations },
  spec: { predictor },
});

describe('credentials of a service', () => {
  it("are the Secrets of its account, with what KServe's annotations say of S3", async () => {
    const { cluster, close } = start();

    expect(
      await loadStorageAccess({ names, cluster }, service({ serviceAccountName: 'sa' }), noConfig, forever),
    ).toEqual({
      secrets: ['another', 'mysecret'],
      env: { S3_ENDPOINT: 'minio-service:9000', S3_USE_HTTPS: '0', AWS_DEFAULT_REGION: 'us-east-2' },
    });
    close();
  });

  it('may be the same beside KServe, where ours says what differs', async () => {
    const { cluster, create, close } = start();
    create('ServiceAccount', 'both', { secrets: [{ name: 'mysecret' }] }, {});
    const beside = { names: namesFor(besideGroup), cluster };
    const notes = { [`${besideGroup}/s3-region`]: 'eu-west-1' };
    const { secrets, env } = await loadStorageAccess(
      beside,
      service({ serviceAccountName: 'both' }, notes),
      noConfig,
      forever,
    );

    expect(secrets).toEqual(['mysecret']);
    expect(env).toMatchObject({ S3_ENDPOINT: 'minio-service:9000', AWS_DEFAULT_REGION: 'eu-west-1' });
    close();
  });

  it('are the one Secret that an annotation names, whatever that annotation is called', async () => {
    const { cluster, close } = start();
    const load = (note: string, config = noConfig) =>
      loadStorageAccess({ names, cluster }, service({ serviceAccountName: 'sa' }, { [note]: 'own' }), config, forever);
    const { config } = parseServiceConfig({ credentials: '{"storageSecretNameAnnotation": "a.org/secret"}' });

    expect((await load('serving.kserve.io/storageSecretName')).secrets).toEqual(['own']);
    expect((await load('a.org/secret', config)).secrets).toEqual(['own']);
    const onPredictor = { annotations: { 'serving.kserve.io/storageSecretName': 'pods' } };
    expect((await loadStorageAccess({ names, cluster }, service(onPredictor), noConfig, forever)).secrets).toEqual([
      'pods',
    ]);
    close();
  });

  it('are mounted though nobody lets us see them, and annotations of the service come first', async () => {
    const { cluster, close } = start();
    const denied: Cluster = {
      ...cluster,
      metadata: () => Promise.reject(new KubeError('kube/denied', 'secrets "mysecret" is forbidden')),
    };
    const annotated = service({ serviceAccountName: 'sa' }, { 'serving.kserve.io/s3-endpoint': 'http://own:1' });

    expect(await loadStorageAccess({ names, cluster: denied }, annotated, noConfig, forever)).toEqual({
      secrets: ['another', 'mysecret'],
      env: { S3_ENDPOINT: 'http://own:1' },
    });
    expect((await loadStorageAccess({ names, cluster }, annotated, noConfig, forever)).env).toMatchObject({
      S3_ENDPOINT: 'http://own:1',
      S3_USE_HTTPS: '0',
    });
    close();
  });
});
