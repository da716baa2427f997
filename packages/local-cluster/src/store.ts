import { DatabaseSync } from 'node:sqlite';
import { CodedError, messageOf } from '@roundhouse/base';
import type { KubeObject } from './api.ts';

/** One committed change. `text` is the object's JSON; `previous` is what it replaced, for watches with selectors. */
export type Change = {
  readonly revision: number;
  readonly key: string;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: KubeObject;
  readonly previous: KubeObject | undefined;
  readonly text: string;
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
  /** A value that outlives restarts, made on first use. */
  setting(name: string, make: () => string): string;
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
  const statements = {
    put: sql('INSERT OR REPLACE INTO objects VALUES (?, ?, ?, ?, ?)'),
    remove: sql('DELETE FROM objects WHERE key = ? AND namespace = ? AND name = ?'),
    load: sql('SELECT text FROM objects WHERE key = ? ORDER BY namespace, name'),
    keys: sql('SELECT DISTINCT key FROM objects'),
    log: sql('INSERT INTO log VALUES (?, ?, ?, ?, ?)'),
    since: sql('SELECT revision, type, text, previous FROM log WHERE key = ? AND revision > ? ORDER BY revision'),
    bounds: sql('SELECT min(revision) AS oldest, max(revision) AS newest FROM log'),
    trim: sql('DELETE FROM log WHERE revision <= ?'),
    setting: sql('SELECT value FROM settings WHERE name = ?'),
    set: sql('INSERT INTO settings VALUES (?, ?)'),
  };
  const bounds = statements.bounds.get() as { oldest: number | null; newest: number | null };
  let revision = bounds.newest ?? 0;
  let oldest = bounds.oldest ?? 1;
  const loaded = new Map<string, Map<string, KubeObject>>();
  const listeners = new Set<(change: Change) => void>();

  const objectsOf = (key: string): Map<string, KubeObject> => {
    const known = loaded.get(key);
    if (known) return known;
    const objects = new Map<string, KubeObject>();
    for (const row of statements.load.iterate(key)) {
      const object: KubeObject = JSON.parse(String(row.text));
      objects.set(placeOf(object), object);
    }
    loaded.set(key, objects);
    return objects;
  };

  const commit = (change: Change, write: () => void) => {
    database.exec('BEGIN IMMEDIATE');
    try {
      write();
      const previous = change.previous === undefined ? null : JSON.stringify(change.previous);
      statements.log.run(change.revision, change.key, change.type, change.text, previous);
      if (change.revision % trimEvery === 0) statements.trim.run(change.revision - logLengthMax);
      database.exec('COMMIT');
    } catch (error) {
      if (database.isTransaction) database.exec('ROLLBACK');
      throw error;
    }
    revision = change.revision;
    if (revision % trimEvery === 0) oldest = Math.max(oldest, revision - logLengthMax + 1);
    const objects = objectsOf(change.key);
    if (change.type === 'DELETED') objects.delete(placeOf(change.object));
    else objects.set(placeOf(change.object), change.object);
    for (const listener of [...listeners]) listener(change);
  };

  return {
    get revision() {
      return revision;
    },
    get: (key, namespace, name) => objectsOf(key).get(`${namespace}/${name}`),
    list(key, namespace) {
      const all = [...objectsOf(key)];
      const within = namespace === undefined ? all : all.filter(([place]) => place.startsWith(`${namespace}/`));
      return within.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
    },
    keys() {
      const stored = statements.keys.all().map((row) => String(row.key));
      return stored;
    },
    put(key, render) {
      objectsOf(key);
      const object = render(revision + 1);
      const { namespace = '', name } = object.metadata;
      const previous = objectsOf(key).get(placeOf(object));
      const text = JSON.stringify(object);
      const type = previous ? 'MODIFIED' : 'ADDED';
      commit({ revision: revision + 1, key, type, object, previous, text }, () =>
        statements.put.run(key, namespace, name, revision + 1, text),
      );
      return object;
    },
    remove(key, removed) {
      objectsOf(key);
      const { namespace = '', name } = removed.metadata;
      const metadata = { ...removed.metadata, resourceVersion: String(revision + 1) };
      const object = { ...removed, metadata };
      const text = JSON.stringify(object);
      commit({ revision: revision + 1, key, type: 'DELETED', object, previous: removed, text }, () =>
        statements.remove.run(key, namespace, name),
      );
    },
    since(key, after) {
      if (after < oldest - 1) return undefined;
      return statements.since.all(key, after).map((row) => ({
        revision: Number(row.revision),
        key,
        type: row.type as Change['type'],
        object: JSON.parse(String(row.text)),
        previous: row.previous === null ? undefined : JSON.parse(String(row.previous)),
        text: String(row.text),
      }));
    },
    onChange(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    setting(name, make) {
      const found = statements.setting.get(name);
      if (found) return String(found.value);
      const value = make();
      statements.set.run(name, value);
      return value;
    },
    close: () => database.close(),
  };
}

function placeOf({ metadata: { namespace = '', name } }: KubeObject): string {
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
