import { createHash, createHmac } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { etagOf, type HttpStoreKnobs, noFaults, sendBytes } from './http.ts';
import { type FakeServer, type Listen, startServer } from './server.ts';

export type FakeS3 = FakeServer & {
  /** By bucket, then by key. Only buckets that are in the map exist. */
  readonly buckets: Map<string, Map<string, Uint8Array>>;
  readonly keys: { readonly accessKeyId: string; readonly secretAccessKey: string };
  /** Buckets that may be read without a signature. */
  readonly open: Set<string>;
  /** Objects on one page of a listing. */
  pageSize: number;
  readonly knobs: HttpStoreKnobs;
};

/** What every one of them takes. */
export const s3Keys = { accessKeyId: 'AKIAROUNDHOUSE', secretAccessKey: 'fake/secret+key' } as const;

/**
 * Amazon S3's REST API as far as reading goes: ListObjectsV2, GetObject, Signature Version 4 in headers, path style.
 * https://docs.aws.amazon.com/AmazonS3/latest/API/
 */
export async function startFakeS3(listen?: Listen): Promise<FakeS3> {
  const buckets: FakeS3['buckets'] = new Map();
  const open: FakeS3['open'] = new Set();
  const knobs = noFaults();

  const server = await startServer(async (request, response) => {
    await knobs.before?.(request);
    const url = new URL(request.url ?? '/', 'http://store');
    const [, bucket = '', ...rest] = url.pathname.split('/').map(decodeURIComponent);
    const key = rest.join('/');
    if (knobs.failures > 0) {
      knobs.failures--;
      return fail(response, 503, 'SlowDown');
    }
    const problem =
      open.has(bucket) && request.headers.authorization === undefined ? undefined : signatureProblem(request, s3Keys);
    if (problem !== undefined) return fail(response, 403, problem);
    const objects = buckets.get(bucket);
    if (objects === undefined) return fail(response, 404, 'NoSuchBucket');
    if (key === '') return sendListing(response, objects, url.searchParams, fake.pageSize);
    const body = objects.get(key);
    if (body === undefined) return fail(response, 404, 'NoSuchKey');
    sendBytes(request, response, { body, etag: etagOf(body) }, knobs);
  }, listen);
  const fake: FakeS3 = Object.assign(server, { buckets, open, keys: s3Keys, pageSize: 1000, knobs });
  return fake;
}

function fail(response: ServerResponse, status: number, code: string): void {
  const body = `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>${code}</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml' }).end(body);
}

/** Keys in the order of their UTF-8 bytes, after the continuation token, which is the last key of the page before. */
function sendListing(
  response: ServerResponse,
  objects: ReadonlyMap<string, Uint8Array>,
  query: URLSearchParams,
  pageSize: number,
) {
  const after = query.get('continuation-token');
  const found = [...objects]
    .filter(([key]) => key.startsWith(query.get('prefix') ?? ''))
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .filter(([key]) => after === null || Buffer.compare(Buffer.from(key), Buffer.from(after, 'base64')) > 0);
  const page = found.slice(0, Math.min(pageSize, Number(query.get('max-keys') ?? 1000)));
  const truncated = page.length < found.length;
  const encode = query.get('encoding-type') === 'url' ? formEncode : escapeXml;
  const next = Buffer.from(page.at(-1)?.[0] ?? '').toString('base64');
  response
    .writeHead(200, { 'content-type': 'application/xml' })
    .end(
      [
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">',
        query.get('encoding-type') === 'url' ? '<EncodingType>url</EncodingType>' : '',
        `<KeyCount>${page.length}</KeyCount><IsTruncated>${truncated}</IsTruncated>`,
        truncated ? `<NextContinuationToken>${next}</NextContinuationToken>` : '',
        ...page.map(
          ([key, body]) =>
            `<Contents><Key>${encode(key)}</Key><ETag>${escapeXml(etagOf(body))}</ETag><Size>${body.length}</Size></Contents>`,
        ),
        '</ListBucketResult>',
      ].join(''),
    );
}

function formEncode(key: string): string {
  return encodeURIComponent(key).replaceAll('%20', '+').replaceAll('%2F', '/');
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&quot;');
}

/** https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html */
function signatureProblem(request: IncomingMessage, keys: FakeS3['keys']): string | undefined {
  const pattern =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, ?SignedHeaders=([^,]+), ?Signature=(\w+)$/;
  const [, id, day = '', region = '', signedHeaders = '', signature] =
    pattern.exec(request.headers.authorization ?? '') ?? [];
  if (id === undefined) return 'AccessDenied';
  if (id !== keys.accessKeyId) return 'InvalidAccessKeyId';

  const [path = '', search = ''] = (request.url ?? '').split('?');
  const headers = signedHeaders.split(';').map((name) => `${name}:${String(request.headers[name] ?? '').trim()}\n`);
  const canonical = [
    ...[request.method, path, search.split('&').sort().join('&'), headers.join(''), signedHeaders],
    request.headers['x-amz-content-sha256'],
  ].join('\n');
  const scope = `${day}/${region}/s3/aws4_request`;
  const hash = createHash('sha256').update(canonical).digest('hex');
  const toSign = ['AWS4-HMAC-SHA256', request.headers['x-amz-date'], scope, hash].join('\n');
  const signingKey = [day, region, 's3', 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${keys.secretAccessKey}`);
  return hmac(signingKey, toSign).toString('hex') === signature ? undefined : 'SignatureDoesNotMatch';
}

function hmac(key: string | Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
