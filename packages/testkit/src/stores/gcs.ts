import { createHash, createVerify, generateKeyPairSync } from 'node:crypto';
import { type HttpStoreKnobs, noFaults, sendBytes } from './http.ts';
import { type FakeServer, type Listen, startServer } from './server.ts';

export type FakeGcs = FakeServer & {
  /** By bucket, then by name. Only buckets that are in the map exist. */
  readonly buckets: Map<string, Map<string, Uint8Array>>;
  /** Buckets that anybody may read; the others want a token. */
  readonly open: Set<string>;
  /** The JSON of a service account key whose tokens this server takes. */
  readonly serviceAccountKey: string;
  pageSize: number;
  readonly knobs: HttpStoreKnobs;
};

/**
 * Google Cloud Storage's JSON API as far as reading goes: objects.list, and objects.get with alt=media and ifGenerationMatch.
 * https://cloud.google.com/storage/docs/json_api/v1
 */
export async function startFakeGcs(listen?: Listen): Promise<FakeGcs> {
  const buckets: FakeGcs['buckets'] = new Map();
  const open: FakeGcs['open'] = new Set();
  const knobs = noFaults();
  const account = serviceAccount();

  const server = await startServer(async (request, response) => {
    await knobs.before?.(request);
    const url = new URL(request.url ?? '/', 'http://store');
    const json = (status: number, body: unknown) => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    const fail = (status: number, message: string) => json(status, { error: { code: status, message } });
    if (knobs.failures > 0) {
      knobs.failures--;
      return fail(503, 'backend error');
    }
    const [, bucket = '', name] = /^\/storage\/v1\/b\/([^/]+)\/o(?:\/([^/]+))?$/.exec(url.pathname) ?? [];
    const bearer = request.headers.authorization;
    if (bearer === undefined ? !open.has(bucket) : !account.signed(bearer)) return fail(401, 'Invalid Credentials');
    const objects = buckets.get(bucket);
    if (objects === undefined) return fail(404, 'The specified bucket does not exist.');
    if (name === undefined) return json(200, listing(objects, url.searchParams, fake.pageSize));
    const body = objects.get(decodeURIComponent(name));
    if (body === undefined) return fail(404, 'No such object');
    const wanted = url.searchParams.get('ifGenerationMatch');
    if (wanted !== null && wanted !== generationOf(body)) return fail(412, 'conditionNotMet');
    sendBytes(request, response, { body, etag: undefined }, knobs);
  }, listen);
  const fake: FakeGcs = Object.assign(server, { buckets, open, serviceAccountKey: account.key, pageSize: 1000, knobs });
  return fake;
}

function listing(objects: ReadonlyMap<string, Uint8Array>, query: URLSearchParams, pageSize: number) {
  const found = [...objects]
    .filter(([name]) => name.startsWith(query.get('prefix') ?? ''))
    .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  const start = Number(query.get('pageToken') ?? 0);
  const end = start + Math.min(pageSize, Number(query.get('maxResults') ?? 1000));
  return {
    items: found
      .slice(start, end)
      .map(([name, body]) => ({ name, size: String(body.length), generation: generationOf(body) })),
    ...(end < found.length && { nextPageToken: String(end) }),
  };
}

/** Of the content, so that a change is another generation. */
function generationOf(body: Uint8Array): string {
  return String(createHash('sha256').update(body).digest().readUInt32BE());
}

/** A key, and whether it signed a token (RFC 7519, RS256) that is for reading and has not expired. */
function serviceAccount() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const email = 'reader@roundhouse.iam.gserviceaccount.com';
  return {
    key: JSON.stringify({
      ...{ type: 'service_account', project_id: 'roundhouse', client_email: email },
      private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    }),
    signed(bearer: string): boolean {
      const [head = '', claims = '', signature = ''] = bearer.replace(/^Bearer /, '').split('.');
      if (!createVerify('RSA-SHA256').update(`${head}.${claims}`).verify(publicKey, signature, 'base64url'))
        return false;
      const { iss, scope, exp } = JSON.parse(Buffer.from(claims, 'base64url').toString());
      return iss === email && /devstorage\.read_only/.test(scope) && exp * 1000 > Date.now();
    },
  };
}
