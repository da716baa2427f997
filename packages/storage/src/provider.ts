import type { FileHandle } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import type { Credentials } from './credentials.ts';
import type { Http } from './http-client.ts';
import type { Scheme, StorageUri } from './uri.ts';

/** One object as a listing shows it. */
export type StoredObject = {
  /** The store's own name for it. */
  readonly key: string;
  /** Where it goes, with '/' between segments: its name below the URI, or the last segment of its name. Untrusted. */
  readonly path: string;
  /** The URI names this object itself, not a tree that holds it. */
  readonly single: boolean;
  /** Undefined where the store does not tell. */
  readonly sizeBytes: number | undefined;
  /** Pins the content between list and open: an ETag, a generation. Undefined where the store has none. */
  readonly version: string | undefined;
  /** Set by stores that know better than the name what the object is. */
  readonly contentType?: string;
  /** The file had an execute bit. */
  readonly executable?: boolean;
};

/** Lists and opens. It never sees the disk that is written to, and never retries: both belong to the materializer. */
export type StorageProvider<Uri extends StorageUri = StorageUri> = {
  readonly schemes: readonly Scheme[];
  /** Everything that `uri` names, in any order; nothing when there is nothing. Directory placeholders are left out. */
  list(uri: Uri, signal: AbortSignal): AsyncIterable<StoredObject>;
  /** The bytes of a listed object from `range.offset` on; storage/changed if it is not the listed version any more. */
  open(uri: Uri, object: StoredObject, range: { readonly offset: number }, signal: AbortSignal): Promise<Readable>;
  /** Where objects are files of this machine: the file, checked as `open` does. The caller closes it. */
  localFile?(uri: Uri, object: StoredObject): Promise<FileHandle>;
};

/** What a provider may need; each takes its part. */
export type ProviderDeps = {
  readonly http: Http;
  readonly credentials: Credentials;
  /** Directories below which file:// may read. */
  readonly fileRoots: readonly string[];
};
