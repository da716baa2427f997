import { fileURLToPath } from 'node:url';
import { StorageError } from './error.ts';

/**
 * Where an artifact is. `text` is fit for messages: it never has a query string.
 * `key` is '' for a whole bucket; without a slash at its end it names one object or the tree below it, with one only the tree.
 */
export type StorageUri =
  | { readonly scheme: 'file'; readonly path: string; readonly text: string }
  | { readonly scheme: 'http' | 'https'; readonly url: URL; readonly text: string }
  | { readonly scheme: 's3'; readonly bucket: string; readonly key: string; readonly text: string }
  | { readonly scheme: 'gs'; readonly bucket: string; readonly key: string; readonly text: string };

export type Scheme = StorageUri['scheme'];

/** Longer ones are mistakes; presigned URLs stay below 2 KiB. */
const uriLengthMax = 4096;
/** S3's and Google's own bound for a key, in bytes. */
const keyBytesMax = 1024;

/** Reads a storage URI, or throws storage/invalid-uri that says what is wrong with it. */
export function parseStorageUri(text: string): StorageUri {
  const shown = text.slice(0, 200).replace(/[?#].*$/s, '');
  const wrong = (what: string) => new StorageError('invalid-uri', `storage URI "${shown}": ${what}`);
  if (text.length > uriLengthMax) throw wrong(`longer than ${uriLengthMax} characters`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text) || text !== text.trim()) throw wrong('control characters or spaces around it');

  const scheme = /^([a-z][a-z0-9+.-]*):\/\//.exec(text)?.[1];
  switch (scheme) {
    case 'file':
      return { scheme, path: filePath(text, wrong), text };
    case 'http':
    case 'https': {
      const url = webUrl(text, wrong);
      return { scheme, url, text: `${url.origin}${url.pathname}` };
    }
    case 's3':
    case 'gs':
      return { scheme, ...bucketAndKey(text.slice(scheme.length + 3), wrong), text };
    case undefined:
      throw wrong('it needs a scheme in lower case: one of s3://, gs://, https://, http://, file://');
  }
  throw wrong(`scheme ${scheme}:// is not supported; supported are s3://, gs://, https://, http://, file://`);
}

type Wrong = (what: string) => StorageError;

function filePath(text: string, wrong: Wrong): string {
  const raw = text.slice('file://'.length);
  if (!raw.startsWith('/')) throw wrong('a file URI has three slashes and an absolute path: file:///models/iris');
  if (/[?#]/.test(raw)) throw wrong('"?" and "#" in a path are written %3F and %23');
  if (raw.split('/').some((segment) => segment === '..' || segment === '.'))
    throw wrong('"." and ".." are not allowed');
  try {
    const path = fileURLToPath(text);
    if (!path.includes('\0')) return path.length > 1 ? path.replace(/\/+$/, '') : path;
  } catch {
    // Falls through to one message for every broken percent sequence.
  }
  throw wrong('a "%" is not followed by a valid code');
}

function webUrl(text: string, wrong: Wrong): URL {
  if (!URL.canParse(text)) throw wrong('not a valid URL');
  const url = new URL(text);
  if (url.username !== '' || url.password !== '') {
    throw new StorageError(
      'invalid-uri',
      `storage URI for ${url.host}: credentials belong in a Secret, not in the URI`,
    );
  }
  if (url.hash !== '') throw wrong('a "#" part has no meaning here');
  return url;
}

function bucketAndKey(rest: string, wrong: Wrong) {
  const slash = rest.indexOf('/');
  const bucket = slash < 0 ? rest : rest.slice(0, slash);
  const key = slash < 0 ? '' : rest.slice(slash + 1);
  if (!/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/i.test(bucket)) {
    throw wrong('the bucket must have 3 to 222 letters, digits, ".", "-" or "_", with a letter or digit at both ends');
  }
  if (Buffer.byteLength(key) > keyBytesMax) throw wrong(`the key is longer than ${keyBytesMax} bytes`);
  if (/[?#]/.test(key)) throw wrong('"?" and "#" are not allowed in the key');
  const segments = key.replace(/\/$/, '').split('/');
  if (key !== '' && segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw wrong('the key has an empty segment, "." or ".."');
  }
  return { bucket, key };
}
