import type { Readable } from 'node:stream';
import { GetObjectCommand, ListObjectsV2Command, S3Client, type S3ClientConfig } from '@aws-sdk/client-s3';
import type { S3Credentials } from '../credentials.ts';
import { problemForStatus, StorageError, unavailable } from '../error.ts';
import type { Http, HttpRequest } from '../http-client.ts';
import type { ProviderDeps, StorageProvider } from '../provider.ts';
import type { StorageUri } from '../uri.ts';
import { objectsAt } from './keys.ts';

type S3Uri = Extract<StorageUri, { scheme: 's3' }>;

/** Amazon S3 and everything that speaks its REST dialect. Amazon's SDK signs and finds endpoints, over our connections. */
export function s3({ http, credentials }: Pick<ProviderDeps, 'http' | 'credentials'>): StorageProvider<S3Uri> {
  const settings = credentials.s3;
  const client = clientFor(http, settings);

  async function* listPrefix(bucket: string, signal: AbortSignal, Prefix: string, MaxKeys?: number) {
    let token: string | undefined;
    do {
      const command = new ListObjectsV2Command({
        ...{ Bucket: bucket, Prefix, MaxKeys, ContinuationToken: token },
        EncodingType: 'url', // XML cannot carry every key
      });
      const listed = await client.send(command, { abortSignal: signal }).catch((error) => {
        throw s3Error(`listing s3://${bucket}/${Prefix}`, error, settings);
      });
      const encoded = listed.EncodingType === 'url'; // not echoed by servers that do not know it
      for (const { Key = '', Size, ETag } of listed.Contents ?? []) {
        yield { key: encoded ? decodeKey(Key) : Key, sizeBytes: Size, version: ETag };
      }
      const next = listed.IsTruncated && MaxKeys === undefined ? listed.NextContinuationToken : undefined;
      // The same token twice would loop for ever: better to fail than to guess.
      if (next !== undefined && next === token)
        throw new StorageError('unavailable', `the listing of ${bucket} repeats itself`);
      token = next;
    } while (token !== undefined);
  }

  return {
    schemes: ['s3'],

    list: ({ bucket, key }, signal) =>
      objectsAt(key, (prefix, objectsMax) => listPrefix(bucket, signal, prefix, objectsMax)),

    async open({ bucket }, { key, version }, { offset }, signal) {
      const subject = `s3://${bucket}/${key}`;
      const command = new GetObjectCommand({
        ...{ Bucket: bucket, Key: key, IfMatch: version },
        ...(offset > 0 && { Range: `bytes=${offset}-` }),
      });
      const { Body, ETag } = await client.send(command, { abortSignal: signal }).catch((error) => {
        throw s3Error(subject, error, settings);
      });
      const body = Body as Readable; // what our request handler gave
      if (ETag === version) return body;
      body.on('error', () => {}).destroy();
      throw new StorageError('changed', `${subject} changed while it was read`);
    },
  };
}

function clientFor(http: Http, settings: S3Credentials): S3Client {
  const { keys, anonymous, endpoint, region, virtualBucket, accelerate, verifyTls, ca } = settings;
  const config: S3ClientConfig = {
    region: region ?? 'us-east-1',
    followRegionRedirects: true,
    forcePathStyle: !(virtualBucket ?? endpoint === undefined),
    useAccelerateEndpoint: accelerate,
    maxAttempts: 1, // the materializer repeats
    responseChecksumValidation: 'WHEN_REQUIRED', // a part from a range has none; size and ETag are compared anyway
    requestHandler: requestHandlerOver(verifyTls && ca === undefined ? http : http.withTls({ verify: verifyTls, ca })),
  };
  if (endpoint !== undefined) config.endpoint = endpoint;
  if (keys !== undefined) config.credentials = keys.reveal();
  if (anonymous) {
    config.credentials = { accessKeyId: '', secretAccessKey: '' };
    config.signer = { sign: async (request) => request };
  }
  return new S3Client(config);
}

type SdkRequest = HttpRequest & {
  readonly protocol: string;
  readonly hostname: string;
  readonly port?: number;
  readonly path: string;
  readonly query?: Readonly<Record<string, string | readonly string[] | null>>;
};

/** The SDK's requests over our connections: one check of addresses, one pool, one way to fail. */
function requestHandlerOver(http: Http): NonNullable<S3ClientConfig['requestHandler']> {
  return {
    async handle(request: SdkRequest, { abortSignal }: { abortSignal?: AbortSignal } = {}) {
      const { protocol, hostname, port, path, query = {}, method, headers, body } = request;
      const search = Object.entries(query)
        .flatMap(([name, value]) =>
          [value].flat().map((one) => `${encodeURIComponent(name)}=${encodeURIComponent(one ?? '')}`),
        )
        .join('&');
      const url = new URL(`${protocol}//${hostname}${port ? `:${port}` : ''}${path}${search && `?${search}`}`);
      const signal = abortSignal ?? new AbortController().signal;
      const {
        status,
        headers: answered,
        body: stream,
      } = await http.request(url, { method, headers, body } as HttpRequest, signal);
      return { response: { statusCode: status, headers: answered, body: stream } };
    },
  } as NonNullable<S3ClientConfig['requestHandler']>; // its type is made of classes that only look like this
}

function decodeKey(key: string): string {
  return decodeURIComponent(key.replaceAll('+', ' '));
}

function s3Error(subject: string, error: unknown, { keys, anonymous }: S3Credentials): StorageError {
  if (error instanceof StorageError) return error;
  const { name = '', $metadata } = error as { name?: string; $metadata?: { httpStatusCode?: number } };
  const who = anonymous
    ? 'anonymous'
    : keys === undefined
      ? 'with the credentials of this machine'
      : 'with the keys of the Secret';
  if (/Credentials|TokenProvider/.test(name)) {
    const out = 'put AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY into a Secret, or say awsAnonymousCredential=true';
    return new StorageError('denied', `${subject}: no credentials found; ${out}`, { cause: error });
  }
  const status = $metadata?.httpStatusCode;
  if (status === undefined) return unavailable(subject, error);
  const problem = name === 'ExpiredToken' || name === 'InvalidToken' ? 'denied' : problemForStatus(status);
  return new StorageError(
    problem,
    `${subject}: the store answered ${status} ${name}${problem === 'denied' ? ` (${who})` : ''}`,
    {
      cause: error,
    },
  );
}
