import { mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { CodedError, systemCodeOf } from '@roundhouse/base';
import type { WantedModel } from './model.ts';
import { diskUsage, type Volume } from './volume.ts';

/**
 * The model directory, as upstream lays it out (`<model>/` with `SUCCESS.<64 hex>`), and our own state beside it, in a directory of
 * the same file system. The server sees only what is in place: some load all that they find when they start.
 *
 *     staging/<model>   a download under way: rubbish after a restart
 *     ready/<model>     complete, with its marker; waits to be put in place
 *     previous/<model>  the version that was in place, until the server has taken the new one
 *     trash/            being deleted
 *
 * Every change of what counts is one rename, so that a crash leaves either side of it.
 */
export type ModelDisk = {
  /** Sorts out what an earlier process left, and tells which versions are here. */
  adopt(): Promise<ReadonlyMap<string, OnDisk>>;
  stage(model: string): Promise<Staged>;
  /** Puts `ready` in place; what was there becomes `previous`. */
  place(model: string): Promise<void>;
  /** The server has taken what is in place. */
  settle(model: string): Promise<void>;
  /** Undoes `place`: the new version is ready again, and the previous one back. False when there was none before. */
  restore(model: string): Promise<boolean>;
  /** Takes away all of the model, or only the version that is ready. */
  remove(model: string, what?: 'all' | 'ready'): Promise<void>;
  saveAssignment(models: Iterable<WantedModel>): Promise<void>;
  /** Undefined when none was saved, or none that can be read. */
  loadAssignment(): Promise<readonly WantedModel[] | undefined>;
};

/** A download under way. It ends with `commit` or `discard`. */
export type Staged = {
  /** A path to download to: nothing is there, and its parent exists. */
  readonly directory: string;
  /** Asked before the download takes so many bytes in all; what it answers is why they cannot be had. */
  readonly reserve: (bytes: number) => string | undefined;
  /** Marks what was staged as complete, after it reached the disk, and moves it to `ready`. */
  commit(model: WantedModel, version: string): Promise<void>;
  discard(): Promise<void>;
};

export type OnDisk = {
  readonly placed: string | undefined;
  readonly ready: string | undefined;
  /** A crash hit between putting in place and the server's answer: which version it has is not known. */
  readonly uncertain: boolean;
};

const markerPattern = /^SUCCESS\.([0-9a-f]{64})$/;

/** Directories looked at side by side when starting. */
const scansMax = 16;

/** `stateDir` lies in the file system of `modelDir`. */
export function openModelDisk(volume: Volume, modelDir: string, stateDir = join(modelDir, '.roundhouse')): ModelDisk {
  const own = stateDir;
  const path = (area: 'staging' | 'ready' | 'previous' | 'trash', model: string) => join(own, area, checked(model));
  const placePath = (model: string) => join(modelDir, checked(model));
  const assignmentPath = join(own, 'assignment.json');
  let trashed = 0;

  async function discard(directory: string) {
    const grave = path('trash', `${trashed++}`);
    if (!(await moved(directory, grave))) return;
    const bytes = await diskUsage(grave);
    await rm(grave, { recursive: true, force: true });
    volume.free(bytes);
  }

  async function commit({ name, storageUri, framework, memory }: WantedModel, version: string) {
    const staged = path('staging', name);
    const marker = await open(join(staged, `SUCCESS.${version}`), 'w', 0o644);
    try {
      await marker.writeFile(JSON.stringify({ storageUri, framework, memory }));
      await marker.sync();
    } finally {
      await marker.close();
    }
    await syncDirectory(staged);
    await discard(path('ready', name));
    await rename(staged, path('ready', name));
  }

  async function adopt() {
    for (const area of ['staging', 'trash']) await rm(join(own, area), { recursive: true, force: true });
    for (const area of ['staging', 'ready', 'previous', 'trash']) await mkdir(join(own, area), { recursive: true });
    await mkdir(modelDir, { recursive: true });
    const previous = new Set(await readdir(join(own, 'previous')));
    // A crash between the two renames of `place` left nothing in place.
    for (const model of previous) await moved(path('previous', model), placePath(model), 'if-absent');
    const stillPrevious = new Set(await readdir(join(own, 'previous')));
    const placed = await versionsIn(modelDir);
    const ready = await versionsIn(join(own, 'ready'));
    for (const [model, version] of ready) if (version === undefined) await discard(path('ready', model));
    const found = new Map<string, OnDisk>();
    for (const model of new Set([...placed.keys(), ...ready.keys()])) {
      const versions = { placed: placed.get(model), ready: ready.get(model) };
      if (versions.placed === undefined && versions.ready === undefined) continue; // not ours, or rubbish: left alone
      found.set(model, { ...versions, uncertain: previous.has(model) });
    }
    for (const model of stillPrevious) await discard(path('previous', model));
    await volume.count(...(own.startsWith(modelDir + sep) ? [modelDir] : [modelDir, own]));
    return found;
  }

  return {
    adopt,

    async stage(model) {
      const directory = path('staging', model);
      await rm(directory, { recursive: true, force: true });
      const booking = volume.open();
      return {
        directory,
        reserve: booking.reach,
        async commit(wanted, version) {
          await commit(wanted, version);
          booking.settle(await diskUsage(path('ready', model)));
        },
        async discard() {
          await rm(directory, { recursive: true, force: true });
          booking.release();
        },
      };
    },

    async place(model) {
      await discard(path('previous', model));
      await moved(placePath(model), path('previous', model));
      await rename(path('ready', model), placePath(model));
    },

    settle: (model) => discard(path('previous', model)),

    async restore(model) {
      await discard(path('ready', model));
      await moved(placePath(model), path('ready', model));
      return await moved(path('previous', model), placePath(model));
    },

    async remove(model, what = 'all') {
      await discard(path('ready', model));
      if (what === 'ready') return;
      await discard(placePath(model));
      await discard(path('previous', model));
    },

    async saveAssignment(models) {
      const text = JSON.stringify([...models]);
      await writeFile(`${assignmentPath}.new`, text, { mode: 0o600 });
      await rename(`${assignmentPath}.new`, assignmentPath);
    },

    async loadAssignment() {
      try {
        const models: unknown = JSON.parse(await readFile(assignmentPath, 'utf8'));
        return Array.isArray(models) ? (models as WantedModel[]) : undefined; // written by saveAssignment above
      } catch {
        return undefined;
      }
    },
  };
}

/** A name becomes a directory: it must stay one, and not be one of ours. */
function checked(model: string): string {
  if (/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(model)) return model;
  throw new CodedError('agent/name', `"${model}" cannot name a model: use letters, digits, "_", "-" and "."`);
}

/** The model names below `directory` and the version that each one's marker proves. */
async function versionsIn(directory: string): Promise<ReadonlyMap<string, string | undefined>> {
  const found = new Map<string, string | undefined>();
  const entries = (await readdir(directory, { withFileTypes: true })).filter(
    (entry) => entry.isDirectory() && !entry.name.startsWith('.'),
  );
  const names = entries.map(({ name }) => name).values();
  const scan = async () => {
    for (const name of names) {
      const markers = (await readdir(join(directory, name))).map((file) => markerPattern.exec(file)?.[1]);
      found.set(
        name,
        markers.find((version) => version !== undefined),
      );
    }
  };
  await Promise.all(Array.from({ length: scansMax }, scan));
  return found;
}

/** Renames; false when there is nothing to move, or, with `if-absent`, something at the other end. */
async function moved(from: string, to: string, rule?: 'if-absent'): Promise<boolean> {
  if (rule === 'if-absent' && (await exists(to))) return false;
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (systemCodeOf(error) === 'ENOENT') return false;
    throw new CodedError('agent/disk', `could not move a model's directory: ${systemCodeOf(error)}`, { cause: error });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await readdir(path);
    return true;
  } catch {
    return false;
  }
}

async function syncDirectory(path: string) {
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
