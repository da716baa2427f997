import { constantModel, type FakeGcs, type FakeS3, startFakeGcs, startFakeS3 } from '@roundhouse/testkit';

const models = 5;

/** Of the pod that models come from on a real cluster (store-pod.ts). */
export const storePorts = { artifacts: 8080, s3: 9000, gcs: 9001, key: 9002 } as const;

/** Where stores of the two kinds are, as pods reach them, and what opens them. Their bucket `private` has `m1` to `m5`, which answer 1 to 5. */
export type PrivateStores = {
  readonly s3: Pick<FakeS3, 'url' | 'keys'>;
  readonly gcs: Pick<FakeGcs, 'url' | 'serviceAccountKey'>;
};

type Ports = { readonly s3: number; readonly gcs: number };

export async function startPrivateStores(host = '127.0.0.1', ports: Ports = { s3: 0, gcs: 0 }) {
  const [s3, gcs] = await Promise.all([startFakeS3({ host, port: ports.s3 }), startFakeGcs({ host, port: ports.gcs })]);
  for (const { buckets } of [s3, gcs]) {
    const numbers = Array.from({ length: models }, (_, index) => index + 1);
    buckets.set(
      'private',
      new Map(numbers.map((value) => [`m${value}/model.json`, Buffer.from(constantModel(value))])),
    );
  }
  return { s3, gcs, close: async () => void (await Promise.all([s3.close(), gcs.close()])) };
}
