import { messageOf } from '@roundhouse/base';
import { GoogleAuth, JWT } from 'google-auth-library';
import { problemForStatus, StorageError } from '../error.ts';
import type { HttpResponse } from '../http-client.ts';
import type { ProviderDeps, StorageProvider } from '../provider.ts';
import type { StorageUri } from '../uri.ts';
import { from } from './http.ts';
import { objectsAt } from './keys.ts';

type GcsUri = Extract<StorageUri, { scheme: 'gs' }>;

const scope = 'https://www.googleapis.com/auth/devstorage.read_only';
const publicEndpoint = 'https://storage.googleapis.com';

/** Google Cloud Storage over its JSON API. Google's library gets the tokens. */
export function gcs({ http, credentials }: Pick<ProviderDeps, 'http' | 'credentials'>): StorageProvider<GcsUri> {
  const { key, endpoint } = credentials.gcs;
  const authorization = tokensFor(key?.reveal(), endpoint !== undefined);

  async function get(
    subject: string,
    path: string,
    query: Record<string, string>,
    headers: Record<string, string>,
    signal: AbortSignal,
  ) {
    const url = new URL(`${endpoint ?? publicEndpoint}/storage/v1/b/${path}`);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const token = await abortable(authorization(), signal);
    const response = await http.request(
      url,
      { headers: { ...headers, ...(token && { authorization: token }) } },
      signal,
    );
    if (response.status === 200 || response.status === 206) return response;
    await response.body.dump();
    const who = token === undefined ? ' (anonymous: no credentials were found)' : '';
    throw new StorageError(
      problemForStatus(response.status),
      `${subject}: the store answered ${response.status}${who}`,
    );
  }

  async function* listPrefix(bucket: string, signal: AbortSignal, prefix: string, maxResults?: number) {
    let pageToken: string | undefined;
    do {
      const query = {
        ...{ prefix, fields: 'nextPageToken,items(name,size,generation,contentEncoding)' },
        ...(maxResults !== undefined && { maxResults: String(maxResults) }),
        ...(pageToken !== undefined && { pageToken }),
      };
      const page = await pageOf(await get(`listing gs://${bucket}/${prefix}`, `${bucket}/o`, query, {}, signal));
      for (const { name, size, generation, contentEncoding } of page.items ?? []) {
        // Stored compressed, sent decompressed: nobody knows how long.
        yield { key: name, sizeBytes: contentEncoding === 'gzip' ? undefined : Number(size), version: generation };
      }
      const next = maxResults === undefined ? page.nextPageToken : undefined;
      if (next !== undefined && next === pageToken) {
        throw new StorageError('unavailable', `the listing of ${bucket} repeats itself`);
      }
      pageToken = next;
    } while (pageToken !== undefined);
  }

  return {
    schemes: ['gs'],

    list: ({ bucket, key }, signal) =>
      objectsAt(key, (prefix, objectsMax) => listPrefix(bucket, signal, prefix, objectsMax)),

    async open({ bucket }, { key: name, version }, { offset }, signal) {
      const query = { alt: 'media', ...(version !== undefined && { ifGenerationMatch: version }) };
      const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
      const response = await get(
        `gs://${bucket}/${name}`,
        `${bucket}/o/${encodeURIComponent(name)}`,
        query,
        headers,
        signal,
      );
      return from(offset, response);
    },
  };
}

/** The Authorization header, kept until shortly before it expires; undefined where there is nothing to show. */
function tokensFor(key: string | undefined, emulator: boolean): () => Promise<string | undefined> {
  if (key === undefined && emulator) return async () => undefined;
  const auth = key === undefined ? new GoogleAuth({ scopes: [scope] }) : new JWT({ ...parseKey(key), scopes: [scope] });
  // A service account's key signs its own tokens: nobody has to be asked for them. https://google.aip.dev/auth/4111
  auth.useJWTAccessWithScope = true;
  return async () => {
    try {
      return (await auth.getRequestHeaders()).get('authorization') ?? undefined;
    } catch (error) {
      // Without any credentials, public buckets are still readable.
      if (key === undefined) return undefined;
      throw new StorageError('denied', `${keyFile} of the Secret: ${messageOf(error)}`, { cause: error });
    }
  };
}

const keyFile = 'gcloud-application-credentials.json';

function parseKey(text: string) {
  let parsed: { type?: unknown; client_email?: unknown; private_key?: unknown } = {};
  try {
    parsed = JSON.parse(text);
  } catch {
    // Falls through: what is no JSON is no key either.
  }
  const { type, client_email: email, private_key: key } = parsed;
  if (type === 'service_account' && typeof email === 'string' && typeof key === 'string') return { email, key };
  throw new StorageError('denied', `${keyFile} of the Secret is not the key of a service account`);
}

type Page = {
  readonly items?: readonly { name: string; size: string; generation: string; contentEncoding?: string }[];
  readonly nextPageToken?: string;
};

/** A page has at most 1,000 names of 1,024 bytes. */
const pageBytesMax = 8 * 1024 * 1024;

async function pageOf(response: HttpResponse): Promise<Page> {
  let text = '';
  for await (const chunk of response.body.setEncoding('utf8')) {
    text += chunk;
    if (text.length > pageBytesMax) throw new StorageError('unavailable', 'a page of the listing has no end');
  }
  return JSON.parse(text);
}

/** For a promise that knows no signal: what it brings later is ignored. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    if (signal.aborted) return onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
  });
}
