import { randomUUID } from 'node:crypto';
import { lstatSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { type Clock, CodedError } from '@roundhouse/base';
import type { Api, TokenIssuer } from '../api.ts';
import {
  type Container,
  configMaps,
  type DownwardItem,
  type KeyToPath,
  type Pod,
  type ProjectedSource,
  secrets,
  type TokenSource,
  type Volume,
} from '../workloads/kinds.ts';
import { fieldOf, loadData } from './environment.ts';
import type { Mounts } from './images.ts';

export type VolumeDeps = { readonly api: Api; readonly tokens: TokenIssuer; readonly clock: Clock };

/** Files by their path in the volume. */
type Payload = ReadonlyMap<string, { readonly data: Buffer; readonly mode: number }>;

export type PodVolumes = {
  /** Brings every volume to what its sources say now. Throws `cluster/volume` or `cluster/config`. */
  refresh(pod: Pod): void;
  /** When the next token needs to be renewed, on the monotonic clock; infinite without tokens. */
  readonly renewAtMs: number;
};

export function openVolumes(deps: VolumeDeps, directory: string): PodVolumes {
  const written = new Map<string, Payload>();
  const issued = new Map<string, { readonly token: string; readonly renewAtMs: number }>();

  const tokenFor = (pod: Pod, volume: string, source: TokenSource) => {
    const key = `${volume}/${source.path}`;
    const current = issued.get(key);
    if (current !== undefined && current.renewAtMs > deps.clock.monotonic()) return current.token;
    const expirationSeconds = source.expirationSeconds ?? 3600;
    const { namespace = '', name, uid = '' } = pod.metadata;
    const token = deps.tokens.issue({
      namespace,
      serviceAccount: pod.spec.serviceAccountName ?? 'default',
      audiences: source.audience === undefined ? [] : [source.audience],
      expirationSeconds,
      pod: { name, uid },
    });
    // As the kubelet does: a new one when a fifth of its life is left.
    issued.set(key, { token, renewAtMs: deps.clock.monotonic() + expirationSeconds * 800 });
    return token;
  };

  return {
    refresh(pod) {
      for (const volume of pod.spec.volumes ?? []) {
        const path = join(directory, volume.name);
        mkdirSync(path, { recursive: true });
        if (volume.emptyDir !== undefined) continue;
        const payload = payloadFor(deps.api, pod, volume, (source) => tokenFor(pod, volume.name, source));
        const before = written.get(volume.name);
        if (before !== undefined && isSame(before, payload)) continue;
        writePayload(path, payload);
        written.set(volume.name, payload);
      }
    },
    get renewAtMs() {
      return Math.min(...[...issued.values()].map(({ renewAtMs }) => renewAtMs));
    },
  };
}

/** Where a container's mounts are, longest path first, so that the innermost of nested mounts wins. */
export function mountsOf({ volumeMounts = [] }: Container, directory: string): Mounts {
  return volumeMounts
    .map(({ name, mountPath, subPath = '' }) => ({
      mountPath: mountPath.replace(/(?<=.)\/+$/, ''),
      directory: join(directory, name, confined(subPath)),
    }))
    .toSorted((a, b) => b.mountPath.length - a.mountPath.length);
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

/** The names of the ConfigMaps and Secrets whose change changes the pod's volumes, as `configmaps/name`. */
export function volumeSourcesOf({ spec }: Pod): ReadonlySet<string> {
  const names = (spec.volumes ?? []).flatMap(({ configMap, secret, projected }) => [
    configMap && `configmaps/${configMap.name}`,
    secret && `secrets/${secret.secretName}`,
    ...(projected?.sources ?? []).flatMap((source) => [
      source.configMap && `configmaps/${source.configMap.name}`,
      source.secret && `secrets/${source.secret.name}`,
    ]),
  ]);
  return new Set(names.filter((name) => name !== undefined));
}

function payloadFor(api: Api, pod: Pod, volume: Volume, tokenFor: (source: TokenSource) => string): Payload {
  const { configMap, secret, downwardAPI, projected } = volume;
  const files: [string, { data: Buffer; mode: number }][] = [];
  const mode = (projected ?? configMap ?? secret ?? downwardAPI)?.defaultMode ?? 0o644;
  const sources: readonly ProjectedSource[] = projected?.sources ?? [
    {
      ...(configMap && { configMap }),
      ...(secret && { secret: { ...secret, name: secret.secretName } }),
      ...(downwardAPI && { downwardAPI }),
    },
  ];
  if (projected === undefined && configMap === undefined && secret === undefined && downwardAPI === undefined) {
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'of no kind';
    throw new CodedError('cluster/volume', `volume "${volume.name}" is ${kind}, which the local cluster does not have`);
  }
  for (const source of sources) {
    for (const { path, data, fileMode } of filesOf(api, pod, source, tokenFor)) {
      files.push([confined(path), { data, mode: fileMode ?? mode }]);
    }
  }
  return new Map(files);
}

function filesOf(api: Api, pod: Pod, source: ProjectedSource, tokenFor: (source: TokenSource) => string) {
  const { configMap, secret, downwardAPI, serviceAccountToken } = source;
  const selected = (
    data: ReadonlyMap<string, Buffer> | undefined,
    ref: { items?: readonly KeyToPath[]; optional?: boolean; name: string },
  ) => (data === undefined ? [] : selectKeys(data, ref));
  return [
    ...(configMap ? selected(loadData(api, configMaps, pod, configMap), configMap) : []),
    ...(secret ? selected(loadData(api, secrets, pod, secret), secret) : []),
    ...(downwardAPI?.items ?? []).map(({ path, fieldRef, mode }: DownwardItem) => {
      if (fieldRef === undefined)
        throw new CodedError('cluster/config', 'the local cluster has no resourceFieldRef files');
      return { path, data: Buffer.from(fieldOf(pod, fieldRef.fieldPath)), fileMode: mode };
    }),
    ...(serviceAccountToken
      ? [{ path: serviceAccountToken.path, data: Buffer.from(tokenFor(serviceAccountToken)), fileMode: 0o600 }]
      : []),
  ];
}

function selectKeys(
  data: ReadonlyMap<string, Buffer>,
  { items, optional, name }: { items?: readonly KeyToPath[]; optional?: boolean; name: string },
): { path: string; data: Buffer; fileMode: number | undefined }[] {
  if (items === undefined) return [...data].map(([path, value]) => ({ path, data: value, fileMode: undefined }));
  return items.flatMap(({ key, path, mode }) => {
    const value = data.get(key);
    if (value !== undefined) return [{ path, data: value, fileMode: mode }];
    if (optional === true) return [];
    throw new CodedError('cluster/config', `"${name}" has no key "${key}", which a volume refers to`);
  });
}

/** The path, if it stays below where it starts. */
function confined(path: string): string {
  const clean = normalize(path);
  if (clean.startsWith('/') || clean === '..' || clean.startsWith('../')) {
    throw new CodedError('cluster/volume', `the path "${path}" leaves its volume`);
  }
  return clean;
}

function isSame(a: Payload, b: Payload): boolean {
  return (
    a.size === b.size &&
    [...a].every(([path, { data, mode }]) => b.get(path)?.mode === mode && data.equals(b.get(path)?.data ?? noData))
  );
}

const noData = Buffer.alloc(0);

/**
 * The kubelet's layout: files live in a directory of their own for each version, `..data` points to the current one and is
 * switched by one rename, and each visible name is a link through it. Readers see all of a version or nothing of it.
 */
function writePayload(path: string, payload: Payload): void {
  const version = `..${randomUUID()}`;
  mkdirSync(join(path, version));
  for (const [file, { data, mode }] of payload) {
    mkdirSync(dirname(join(path, version, file)), { recursive: true });
    writeFileSync(join(path, version, file), data, { mode });
  }
  rmSync(join(path, '..data_tmp'), { force: true });
  symlinkSync(version, join(path, '..data_tmp'));
  renameSync(join(path, '..data_tmp'), join(path, '..data'));

  const visible = new Set([...payload.keys()].map((file) => file.split('/')[0] as string));
  for (const name of visible) {
    if (!isLink(join(path, name))) symlinkSync(join('..data', name), join(path, name));
  }
  for (const name of readdirSync(path)) {
    const isOld = name.startsWith('..') ? name !== '..data' && name !== version : !visible.has(name);
    if (isOld) rmSync(join(path, name), { recursive: true, force: true });
  }
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}
