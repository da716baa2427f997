import { PassThrough, pipeline, type Readable, Transform } from 'node:stream';
import { headersFor } from '../credentials.ts';
import { problemForStatus, StorageError } from '../error.ts';
import { getFollowing, type HttpResponse } from '../http-client.ts';
import type { ProviderDeps, StorageProvider } from '../provider.ts';
import type { StorageUri } from '../uri.ts';

type WebUri = Extract<StorageUri, { scheme: 'http' | 'https' }>;

/** One file, or one archive, of a web server. */
export function http({ http, credentials }: Pick<ProviderDeps, 'http' | 'credentials'>): StorageProvider<WebUri> {
  const get = ({ url }: WebUri, headers: Record<string, string>, signal: AbortSignal) =>
    getFollowing(
      http,
      url,
      // As stored: a coding on the way would make sizes and ranges mean something else.
      (hop) => ({ ...headersFor(credentials, hop), 'accept-encoding': 'identity', ...headers }),
      signal,
    );

  return {
    schemes: ['http', 'https'],

    async *list(uri, signal) {
      // One byte instead of HEAD, which presigned URLs and many servers refuse.
      const response = await get(uri, { range: 'bytes=0-0' }, signal);
      const empty = response.status === 416 && totalOf(response) === 0;
      if (!empty) await expectOk(uri, response);
      response.body.on('error', () => {}).destroy();
      yield {
        key: uri.text,
        path: nameOf(uri.url),
        single: true,
        sizeBytes: totalOf(response),
        version: versionOf(response),
        ...(response.header('content-type') !== undefined && {
          contentType: response.header('content-type') as string,
        }),
      };
    },

    async open(uri, object, { offset }, signal) {
      const response = await get(uri, offset > 0 ? { range: `bytes=${offset}-` } : {}, signal);
      await expectOk(uri, response);
      const total = totalOf(response);
      const { version, sizeBytes } = object;
      if ((version ?? versionOf(response)) !== versionOf(response) || (total ?? sizeBytes) !== (sizeBytes ?? total)) {
        response.body.on('error', () => {}).destroy();
        throw new StorageError('changed', `${uri.text} changed while it was read`);
      }
      return from(offset, response);
    },
  };
}

/** The body from `offset` on, also where the server does not know ranges and sends everything. */
export function from(offset: number, { status, body }: Pick<HttpResponse, 'status' | 'body'>): Readable {
  if (offset === 0 || status === 206) return body;
  let left = offset;
  const skip = new Transform({
    transform(chunk: Buffer, _, done) {
      const cut = Math.min(left, chunk.length);
      left -= cut;
      done(null, chunk.subarray(cut));
    },
  });
  return pipeline(body, skip, new PassThrough(), () => {});
}

async function expectOk({ text }: WebUri, response: HttpResponse): Promise<void> {
  if (response.status === 200 || response.status === 206) return;
  await response.body.dump();
  throw new StorageError(problemForStatus(response.status), `GET ${text}: the server answered ${response.status}`);
}

/** Size of the whole resource, whether a part or all of it was asked for. */
function totalOf(response: HttpResponse): number | undefined {
  const text =
    response.status === 200
      ? response.header('content-length')
      : /\/(\d+)$/.exec(response.header('content-range') ?? '')?.[1];
  return text === undefined ? undefined : Number(text);
}

function versionOf(response: HttpResponse): string | undefined {
  return response.header('etag') ?? response.header('last-modified');
}

function nameOf(url: URL): string {
  const last = url.pathname.split('/').at(-1) ?? '';
  try {
    return decodeURIComponent(last) || 'model';
  } catch {
    return last;
  }
}
