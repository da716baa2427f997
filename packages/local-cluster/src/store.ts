import { DatabaseSync } from 'node:sqlite';
import { CodedError, messageOf } from '@roundhouse/base';
import type { KubeObject } from './api.ts';

/** One committed change. `previous` is what the object replaced, for watches with selectors. */
export type Change = {
  readonly revision: number;
  readonly key: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
};

/**
 * Objects by key (`group/resource`), namespace ('' for cluster scope) and name, with one revision counter and a log of the
 * last changes. Everything is synchronous; a change is on disk when `put` or `remove` returns.
 */
export type Store = {
  readonly revision: number;
  get(key: string, namespace: string, name: string): KubeObject | undefined;
  /** In the order of namespace and name. */
  list(key: string, namespace: string | undefined): readonly KubeObject[];
  keys(): readonly string[];
  /** Stores what `render` makes of the new revision. */
  put(key: string, render: (revision: number) => KubeObject): KubeObject;
  remove(key: string, object: KubeObject): void;
  /** Changes of `key` after `revision`, oldest first; undefined when the log no longer reaches that far back. */
  since(key: string, revision: number): readonly Change[] | undefined;
  /** Calls `listener` after each commit, inside of the call that committed. */
  onChange(listener: (change: Change) => void): () => void;
  /** A value that outlives restarts; the first one that is given stays. */
  setting(name: string, value: string): string;
  setting(name: string): string | undefined;
  close(): void;
};

/** Watches older than so many changes must list again. Each entry holds two texts of some kilobytes. */
const logLengthMax = 8_192;
/** Trimming is done once per so many changes, which keeps it off the path of most writes. */
const trimEvery = 512;

const layout = `
  CREATE TABLE IF NOT EXISTS objects (
    key TEXT, namespace TEXT, name TEXT, revision INTEGER, text TEXT, PRIMARY KEY (key, namespace, name)
  ) WITHOUT ROWID;
  CREATE TABLE IF NOT EXISTS log (revision INTEGER PRIMARY KEY, key TEXT, type TEXT, text TEXT, previous TEXT);
  CREATE INDEX IF NOT EXISTS log_by_key ON log (key, revision);
  CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
`;

/** Opens (or makes) the database at `file`; `:memory:` keeps nothing. Throws `local-cluster/in-use` if another process has it. */
export function openStore({ file }: { readonly file: string }): Store {
  const database = openDatabase(file);
  const sql = (text: string) => database.prepare(text);
  const put = sql('INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)');
  const drop = sql('DELETE FROM objects WHERE key = ? AND namespace = ? AND name = ?');
  const log = sql('INSERT INTO log VALUES (?, ?, ?, ?, ?)');
  const since = sql('SELECT revision, type, text, previous FROM log WHERE key = ? AND revision > ? ORDER BY revision');
  const trim = sql('DELETE FROM log WHERE revision <= ?');
  const setting = sql('SELECT value FROM settings WHERE name = ?');
  const set = sql('INSERT OR IGNORE INTO settings VALUES (?, ?)');
  const bounds = sql('SELECT min(revision) AS oldest, max(revision) AS newest FROM log').get();
  let revision = Number(bounds?.newest ?? 0);
  let oldest = Number(bounds?.oldest ?? 1);
  const objects = new Map<string, Map<string, KubeObject>>();
  const listeners = new Set<(change: Change) => void>();
  const placesOf = (key: string) => objects.get(key) ?? new Map<string, KubeObject>();
  const hold = (key: string, object: KubeObject) =>
    objects.set(key, placesOf(key).set(placeOf(object.metadata.namespace, object.metadata.name), object));
  for (const row of sql('SELECT key, text FROM objects').iterate()) hold(String(row.key), JSON.parse(String(row.text)));

  /** Writes a change of the next revision to disk and to memory, and tells who listens. */
  const commit = (key: string, type: Change['type'], object: KubeObject, previous: KubeObject | undefined) => {
    const { namespace = '', name } = object.metadata;
    const text = JSON.stringify(object);
    const next = revision + 1;
    database.exec('BEGIN IMMEDIATE');
    try {
      if (type === 'DELETED') drop.run(key, namespace, name);
      else put.run(key, namespace, name, next, text);
      log.run(next, key, type, text, previous === undefined ? null : JSON.stringify(previous));
      if (next % trimEvery === 0) trim.run(next - logLengthMax);
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
    revision = next;
    if (revision % trimEvery === 0) oldest = Math.max(oldest, revision - logLengthMax + 1);
    if (type === 'DELETED') placesOf(key).delete(placeOf(namespace, name));
    else hold(key, object);
    const change = { revision, key, type, object, previous };
    for (const listener of [...listeners]) listener(change);
  };

  return {
    get revision() {
      return revision;
    },
    get: (key, namespace, name) => placesOf(key).get(placeOf(namespace, name)),
    list(key, namespace) {
      const all = [...placesOf(key)];
      const within = namespace === undefined ? all : all.filter(([place]) => place.startsWith(`${namespace}/`));
      return within.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
    },
    keys: () => [...objects.keys()],
    put(key, render) {
      const object = render(revision + 1);
      const previous = placesOf(key).get(placeOf(object.metadata.namespace, object.metadata.name));
      commit(key, previous ? 'MODIFIED' : 'ADDED', object, previous);
      return object;
    },
    remove(key, previous) {
      const metadata = { ...previous.metadata, resourceVersion: String(revision + 1) };
      commit(key, 'DELETED', { ...previous, metadata }, previous);
    },
    since(key, after) {
      if (after < oldest - 1) return undefined;
      return since.all(key, after).map((row) => ({
        revision: Number(row.revision),
        key,
        type: row.type as Change['type'],
        object: JSON.parse(String(row.text)),
        previous: row.previous === null ? undefined : JSON.parse(String(row.previous)),
      }));
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    setting(name: string, value?: string) {
      if (value !== undefined) set.run(name, value);
      return setting.get(name)?.value as string;
    },
    close: () => database.close(),
  };
}

function placeOf(namespace = '', name = ''): string {
  return `${namespace}/${name}`;
}

function openDatabase(file: string): DatabaseSync {
  const database = new DatabaseSync(file);
  try {
    // The lock is taken by the first write and kept for good. WAL with synchronous=NORMAL loses nothing when the process
    // dies; only a power cut could take the last changes.
    database.exec('PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;');
    database.exec(`BEGIN EXCLUSIVE; ${layout} COMMIT;`);
    return database;
  } catch (error) {
    database.close();
    if (!/locked|busy/i.test(messageOf(error))) throw error;
    throw new CodedError('local-cluster/in-use', `${file} is in use by another local cluster: stop that one first`, {
      cause: error,
    });
  }
}
