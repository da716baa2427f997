import { CreateBucketCommand, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { Secret } from '@roundhouse/base';
import { describe } from 'vitest';
import { credentialsFrom } from '../credentials.ts';
import { describeProvider } from '../provider.contract.ts';

/**
 * The contract against a server that is not ours: with CONTRACT_S3_ENDPOINT=http://127.0.0.1:5000 (and, where they matter,
 * AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY). `pip install 'moto[server]'` and `moto_server` is one; MinIO is another.
 */
const endpoint = process.env.CONTRACT_S3_ENDPOINT;
const { AWS_ACCESS_KEY_ID: accessKeyId = 'contract', AWS_SECRET_ACCESS_KEY: secretAccessKey = 'contract' } =
  process.env;

const base = await credentialsFrom({ secretsDirectory: undefined, env: {} });
let buckets = 0;

describe.runIf(endpoint !== undefined)('a real server', () => {
  describeProvider(`s3 at ${endpoint}`, async () => {
    const credentials = { accessKeyId, secretAccessKey };
    const client = new S3Client({ endpoint: endpoint ?? '', credentials, region: 'us-east-1', forcePathStyle: true });
    const bucket = `contract-${process.pid}-${Date.now()}-${buckets++}`;
    await client.send(new CreateBucketCommand({ Bucket: bucket }));
    return {
      uri: (key) => `s3://${bucket}/${key}`,
      put: async (Key, Body) => void (await client.send(new PutObjectCommand({ Bucket: bucket, Key, Body }))),
      credentials: { s3: { ...base.s3, endpoint, keys: new Secret(credentials) } },
      close: async () => client.destroy(),
    };
  });
});
