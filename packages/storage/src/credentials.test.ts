import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { credentialsFrom, fingerprint, headersFor } from './credentials.ts';

let secretsDirectory: string;
beforeEach(async () => {
  secretsDirectory = await mkdtemp(join(tmpdir(), 'storage-secrets-'));
});
afterEach(() => rm(secretsDirectory, { recursive: true }));

async function mount(name: string, files: Record<string, string>) {
  for (const [key, text] of Object.entries(files)) {
    await mkdir(dirname(join(secretsDirectory, name, key)), { recursive: true });
    await writeFile(join(secretsDirectory, name, key), text);
  }
}

const keys = { AWS_ACCESS_KEY_ID: 'AKIA1', AWS_SECRET_ACCESS_KEY: 'hunter2' };

describe('credentialsFrom', () => {
  it('has nothing where nothing is', async () => {
    expect(await credentialsFrom({ secretsDirectory: '/none/such', env: {} })).toEqual({
      s3: {
        ...{ keys: undefined, anonymous: false, endpoint: undefined, region: undefined, virtualBucket: undefined },
        ...{ accelerate: false, verifyTls: true, ca: undefined },
      },
      gcs: { key: undefined, endpoint: undefined },
      http: [],
    });
  });

  it('reads the keys that KServe reads from an S3 Secret', async () => {
    await mount('s3', {
      ...keys,
      ...{ S3_ENDPOINT: 'minio.ml:9000\n', S3_USE_HTTPS: '0', AWS_DEFAULT_REGION: 'eu-west-1', S3_VERIFY_SSL: '0' },
      ...{ S3_USER_VIRTUAL_BUCKET: 'true', S3_USE_ACCELERATE: 'true', awsAnonymousCredential: 'false' },
    });

    const { s3 } = await credentialsFrom({ secretsDirectory, env: {} });

    expect(s3).toMatchObject({
      ...{ endpoint: 'http://minio.ml:9000', region: 'eu-west-1', verifyTls: false, virtualBucket: true },
      ...{ accelerate: true, anonymous: false },
    });
    expect(s3.keys?.reveal()).toEqual({ accessKeyId: 'AKIA1', secretAccessKey: 'hunter2' });
  });

  it('takes what annotations say before keys, and keys before the environment', async () => {
    await mount('s3', { ...keys, S3_ENDPOINT: 'key:1', 'serving.kserve.io/s3-endpoint': 'annotation:1' });
    const env = {
      S3_ENDPOINT: 'env:1',
      AWS_DEFAULT_REGION: 'us-west-2',
      AWS_ACCESS_KEY_ID: 'x',
      AWS_SECRET_ACCESS_KEY: 'y',
    };

    const { s3 } = await credentialsFrom({ secretsDirectory, env });

    expect(s3).toMatchObject({ endpoint: 'https://annotation:1', region: 'us-west-2' });
    expect(s3.keys?.reveal().accessKeyId).toBe('AKIA1');
  });

  it('lives on the environment alone', async () => {
    const env = {
      ...keys,
      AWS_SESSION_TOKEN: 't',
      AWS_ENDPOINT_URL: 'http://127.0.0.1:9000',
      STORAGE_EMULATOR_HOST: '127.0.0.1:4443',
    };

    const { s3, gcs } = await credentialsFrom({ secretsDirectory: undefined, env });

    expect(s3.endpoint).toBe('http://127.0.0.1:9000');
    expect(s3.keys?.reveal().sessionToken).toBe('t');
    expect(gcs.endpoint).toBe('http://127.0.0.1:4443');
  });

  it('takes the first Secret of a kind, or only the named one', async () => {
    await mount('a', keys);
    await mount('b', { ...keys, AWS_ACCESS_KEY_ID: 'AKIA2' });
    await mount('c', { 'gcloud-application-credentials.json': '{}' });

    const all = await credentialsFrom({ secretsDirectory, env: {} });
    const named = await credentialsFrom({ secretsDirectory, secretName: 'b', env: {} });

    expect(all.s3.keys?.reveal().accessKeyId).toBe('AKIA1');
    expect(all.gcs.key?.reveal()).toBe('{}');
    expect(named.s3.keys?.reveal().accessKeyId).toBe('AKIA2');
    expect(named.gcs.key).toBeUndefined();
  });

  it('reads again each time, and notices by the fingerprint', async () => {
    await mount('a', keys);
    const before = await credentialsFrom({ secretsDirectory, env: {} });
    expect(fingerprint(await credentialsFrom({ secretsDirectory, env: {} }))).toBe(fingerprint(before));

    await mount('a', { AWS_SECRET_ACCESS_KEY: 'rotated' });

    expect(fingerprint(await credentialsFrom({ secretsDirectory, env: {} }))).not.toBe(fingerprint(before));
  });

  it('does not leave the directory of Secrets', async () => {
    await expect(credentialsFrom({ secretsDirectory, secretName: '../etc', env: {} })).rejects.toThrow(
      'not the name of a Secret',
    );
  });

  it('gives headers to their host only', async () => {
    await mount('web', { 'https-host': 'models.example.com', headers: '{"authorization": "Bearer abc"}' });

    const credentials = await credentialsFrom({ secretsDirectory, env: {} });

    expect(headersFor(credentials, new URL('https://models.example.com/m'))).toEqual({ authorization: 'Bearer abc' });
    expect(headersFor(credentials, new URL('https://evil.example.com/m'))).toEqual({});
  });

  it('says what is wrong with headers that are not a JSON object', async () => {
    await mount('web', { 'https-host': 'models.example.com', headers: 'authorization: abc' });

    await expect(credentialsFrom({ secretsDirectory, env: {} })).rejects.toThrow('"headers" must be a JSON object');
  });

  it('shows no secret in any form of text', async () => {
    await mount('a', keys);
    await mount('b', { 'gcloud-application-credentials.json': 'hunter2' });
    await mount('c', { 'https-host': 'h.example.com', headers: '{"x": "hunter2"}' });

    const credentials = await credentialsFrom({ secretsDirectory, env: {} });

    expect(inspect(credentials, { depth: 9 }) + JSON.stringify(credentials)).not.toContain('hunter2');
  });

  it('names a CA bundle that cannot be read', async () => {
    await expect(
      credentialsFrom({ secretsDirectory: undefined, env: { AWS_CA_BUNDLE: '/none/such' } }),
    ).rejects.toThrow('AWS_CA_BUNDLE names /none/such, which cannot be read (ENOENT)');
  });
});
