import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { type Clock, CodedError } from '@roundhouse/base';
import type {
  Container,
  KeyToPath,
  ServiceAccountTokenProjection,
  Volume,
  VolumeProjection,
} from 'kubernetes-types/core/v1.js';
import type { Api, TokenIssuer } from '../api.ts';
import { configMaps, type Pod, secrets } from '../workloads/kinds.ts';
import { loadData } from './environment.ts';
import type { Mounts } from './images.ts';

export type VolumeDeps = { readonly api: Api; readonly tokens: TokenIssuer; readonly clock: Clock };

type File = { readonly data: Buffer; readonly mode: number };

export type PodVolumes = {
  /** Brings every volume to what its sources say now. Throws `cluster/volume` or `cluster/config`. */
  refresh(pod: Pod): void;
  /** When the next token needs to be renewed, on the monotonic clock; infinite without tokens. */
  readonly renewAtMs: number;
};

export function openVolumes({ api, tokens, clock }: VolumeDeps, directory: string): PodVolumes {
  const written = new Map<string, ReadonlyMap<string, File>>();
  const issued = new Map<string, { readonly token: string; readonly renewAtMs: number }>();

  const tokenFor = ({ metadata, spec }: Pod, volume: string, source: ServiceAccountTokenProjection): string => {
    const { path, audience, expirationSeconds = 3600 } = source;
    const current = issued.get(`${volume}/${path}`);
    if (current !== undefined && current.renewAtMs > clock.monotonic()) return current.token;
    const { namespace = '', name, uid = '' } = metadata;
    const account = { namespace, serviceAccount: spec.serviceAccountName ?? 'default', pod: { name, uid } };
    const token = tokens.issue({ ...account, audiences: audience === undefined ? [] : [audience], expirationSeconds });
    // As the kubelet does: a new one when a fifth of its life is left.
    issued.set(`${volume}/${path}`, { token, renewAtMs: clock.monotonic() + expirationSeconds * 800 });
    return token;
  };

  /** The files of a volume by their path in it. */
  const filesFor = (pod: Pod, volume: Volume): ReadonlyMap<string, File> => {
    const { defaultMode = 0o644 } = volume.projected ?? volume.configMap ?? volume.secret ?? {};
    const files = sourcesOf(volume).flatMap(({ configMap, secret, serviceAccountToken: token }) => [
      ...(configMap ? selectKeys(loadData(api, configMaps, pod, configMap), configMap) : []),
      ...(secret ? selectKeys(loadData(api, secrets, pod, secret), secret) : []),
      ...(token ? [{ path: token.path, data: Buffer.from(tokenFor(pod, volume.name, token)), mode: 0o600 }] : []),
    ]);
    return new Map(files.map(({ path, data, mode = defaultMode }) => [confined(path), { data, mode }]));
  };

  return {
    refresh(pod) {
      for (const volume of pod.spec.volumes ?? []) {
        const path = join(directory, volume.name);
        mkdirSync(path, { recursive: true });
        if (volume.emptyDir !== undefined) {
          for (const subPath of subPathsOf(pod, volume.name)) mkdirSync(join(path, subPath), { recursive: true });
          continue;
        }
        const files = filesFor(pod, volume);
        if (isDeepStrictEqual(written.get(volume.name), files)) continue;
        writeFiles(path, files);
        written.set(volume.name, files);
      }
    },
    get renewAtMs() {
      return Math.min(...[...issued.values()].map(({ renewAtMs }) => renewAtMs));
    },
  };
}

/** Parts of the volume that containers mount; the kubelet makes those that are not there. */
function subPathsOf({ spec }: Pod, volume: string): readonly string[] {
  return spec.containers.flatMap(({ volumeMounts = [] }) =>
    volumeMounts.filter(({ name }) => name === volume).map(({ subPath = '' }) => confined(subPath)),
  );
}

/** Longest paths first, so that the innermost of nested mounts wins. */
export function mountsOf({ volumeMounts = [] }: Container, directory: string): Mounts {
  const mounts = volumeMounts.map(({ name, mountPath, subPath = '' }) => ({
    mountPath: mountPath.replace(/(?<=.)\/+$/, ''),
    directory: join(directory, name, confined(subPath)),
  }));
  return mounts.sort((a, b) => b.mountPath.length - a.mountPath.length);
}

/**
 * Makes the directories that hold mounts: `/secrets` is one when there are mounts at `/secrets/a` and `/secrets/b`. Each is a real
 * directory below `root` with links to the mounts.
 */
export function linkMounts(mounts: Mounts, root: string): void {
  for (const { mountPath, directory } of mounts) {
    if (mounts.some((outer) => mountPath.startsWith(`${outer.mountPath}/`))) continue; // it lies in another mount
    const link = join(root, mountPath);
    mkdirSync(dirname(link), { recursive: true });
    rmSync(link, { force: true });
    symlinkSync(directory, link);
  }
}

function sourcesOf({ name, configMap, secret, projected, ...other }: Volume): readonly VolumeProjection[] {
  const sources = projected?.sources ?? [];
  const [unknown] = [...Object.keys(other), ...(sources.some(({ downwardAPI }) => downwardAPI) ? ['downwardAPI'] : [])];
  if (unknown !== undefined) {
    throw new CodedError('cluster/volume', `volume "${name}" is ${unknown}, which the local cluster does not have`);
  }
  if (configMap !== undefined) return [{ configMap }];
  return secret === undefined ? sources : [{ secret: { ...secret, name: secret.secretName ?? '' } }];
}

function selectKeys(
  data: ReadonlyMap<string, Buffer> | undefined,
  { items, optional, name }: { items?: readonly KeyToPath[]; optional?: boolean; name?: string },
): readonly { readonly path: string; readonly data: Buffer; readonly mode?: number }[] {
  if (data === undefined) return [];
  if (items === undefined) return [...data].map(([path, value]) => ({ path, data: value }));
  return items.flatMap(({ key, path, ...mode }) => {
    const value = data.get(key);
    if (value !== undefined) return [{ path, data: value, ...mode }];
    if (optional === true) return [];
    throw new CodedError('cluster/config', `"${name}" has no key "${key}", which a volume refers to`);
  });
}

/** The path, if it stays below where it starts. */
function confined(path: string): string {
  const clean = normalize(path);
  if (!/^(\/|\.\.(\/|$))/.test(clean)) return clean;
  throw new CodedError('cluster/volume', `the path "${path}" leaves its volume`);
}

/**
 * The kubelet's layout: files live in a directory of their own for each version, `..data` points to the current one and is
 * switched by one rename, and each visible name is a link through it. Readers see all of a version or nothing of it.
 */
function writeFiles(path: string, files: ReadonlyMap<string, File>): void {
  const version = `..${randomUUID()}`;
  mkdirSync(join(path, version));
  for (const [file, { data, mode }] of files) {
    mkdirSync(dirname(join(path, version, file)), { recursive: true });
    writeFileSync(join(path, version, file), data, { mode });
  }
  rmSync(join(path, '..data_tmp'), { force: true });
  symlinkSync(version, join(path, '..data_tmp'));
  renameSync(join(path, '..data_tmp'), join(path, '..data'));

  const present = readdirSync(path);
  const visible = new Set([...files.keys()].map((file) => file.split('/')[0] as string));
  for (const name of visible) if (!present.includes(name)) symlinkSync(join('..data', name), join(path, name));
  for (const name of present) {
    const isOld = name.startsWith('..') ? name !== '..data' && name !== version : !visible.has(name);
    if (isOld) rmSync(join(path, name), { recursive: true, force: true });
  }
}
