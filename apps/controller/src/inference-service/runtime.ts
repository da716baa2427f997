import type { ResolvedPredictor, ServingRuntimeSpec } from '@roundhouse/crds';

/** A ServingRuntime (`namespaced`) or ClusterServingRuntime. */
export type Runtime = {
  readonly name: string;
  readonly namespaced: boolean;
  readonly createdMs: number;
  readonly annotations: Readonly<Record<string, string>>;
  readonly spec: ServingRuntimeSpec;
};

export type RuntimeChoice =
  | { readonly runtime: Runtime; readonly protocol: string }
  | {
      readonly reason: 'RuntimeNotRecognized' | 'RuntimeDisabled' | 'NoSupportingRuntime';
      readonly message: string;
    };

const protocolRank = ['v1', 'v2', 'grpc-v1', 'grpc-v2'];

/**
 * KServe's choice: the runtime that is named, or of those that support format and protocol the namespace's before the
 * cluster's, the highest priority, the lowest protocol, the newest, the first by name.
 */
export function chooseRuntime(predictor: ResolvedPredictor, runtimes: readonly Runtime[]): RuntimeChoice {
  const { format, runtime: wanted, protocolVersion } = predictor;
  if (wanted !== undefined) {
    const named = runtimes.filter(({ name }) => name === wanted).sort(namespacedFirst)[0];
    return named === undefined
      ? { reason: 'RuntimeNotRecognized', message: `no ServingRuntime or ClusterServingRuntime is named "${wanted}"` }
      : checkNamed(named, predictor);
  }
  const name = format === 'custom' ? '' : format.name;
  const chosen = runtimes
    .filter((runtime) => !runtime.spec.disabled && speaks(runtime, protocolVersion) && selects(runtime, predictor))
    .sort((a, b) => namespacedFirst(a, b) || priorityOf(b, name) - priorityOf(a, name) || tieBreak(a, b))[0];
  if (chosen === undefined) {
    const spoken = protocolVersion === undefined ? '' : ` with protocol ${protocolVersion}`;
    return {
      reason: 'NoSupportingRuntime',
      message: `no enabled runtime supports format "${name}"${spoken}; known: ${describe(runtimes)}`,
    };
  }
  return { runtime: chosen, protocol: protocolOf(chosen, protocolVersion) };
}

function checkNamed(runtime: Runtime, { format, protocolVersion }: ResolvedPredictor): RuntimeChoice {
  const { name, spec } = runtime;
  if (spec.disabled) return { reason: 'RuntimeDisabled', message: `runtime "${name}" is disabled` };
  const lists = format === 'custom' || (spec.supportedModelFormats ?? []).some((listed) => matches(listed, format));
  if (!lists || !speaks(runtime, protocolVersion)) {
    const wanted = format === 'custom' ? '' : `format "${format.name}" `;
    const spoken = protocolVersion === undefined ? '' : `with protocol ${protocolVersion}`;
    return {
      reason: 'NoSupportingRuntime',
      message: `runtime "${name}" does not support ${wanted}${spoken}`.trimEnd(),
    };
  }
  return { runtime, protocol: protocolOf(runtime, protocolVersion) };
}

/** Whether the runtime's server can load models of `framework`. Users write frameworks in whatever case they like. */
export function supportsFramework({ spec }: Runtime, framework: string): boolean {
  return (spec.supportedModelFormats ?? []).some(({ name }) => name.toLowerCase() === framework.toLowerCase());
}

type Format = { readonly name: string; readonly version?: string | undefined };

function selects({ spec }: Runtime, { format }: ResolvedPredictor): boolean {
  if (format === 'custom') return false;
  return (spec.supportedModelFormats ?? []).some((listed) => listed.autoSelect === true && matches(listed, format));
}

function matches(listed: Format, wanted: Format): boolean {
  return listed.name === wanted.name && (wanted.version === undefined || listed.version === wanted.version);
}

function speaks({ spec }: Runtime, protocol: string | undefined): boolean {
  const spoken = spec.protocolVersions ?? [];
  // KServe asks for V1 when nothing is given.
  return spoken.length === 0 || spoken.includes(protocol ?? 'v1');
}

function protocolOf({ spec }: Runtime, wanted: string | undefined): string {
  return wanted ?? [...(spec.protocolVersions ?? [])].sort((a, b) => rankOf(a) - rankOf(b))[0] ?? 'v1';
}

function rankOf(protocol: string): number {
  const rank = protocolRank.indexOf(protocol);
  return rank === -1 ? protocolRank.length : rank;
}

function priorityOf({ spec }: Runtime, format: string): number {
  return spec.supportedModelFormats?.find(({ name }) => name === format)?.priority ?? 0;
}

const namespacedFirst = (a: Runtime, b: Runtime) => Number(b.namespaced) - Number(a.namespaced);

function tieBreak(a: Runtime, b: Runtime): number {
  const lowest = (runtime: Runtime) => rankOf(protocolOf(runtime, undefined));
  return lowest(a) - lowest(b) || b.createdMs - a.createdMs || (a.name < b.name ? -1 : 1);
}

function describe(runtimes: readonly Runtime[]): string {
  const known = runtimes
    .filter(({ spec }) => !spec.disabled)
    .map(({ name, spec }) => `${name} (${(spec.supportedModelFormats ?? []).map((format) => format.name).join(', ')})`);
  return known.length === 0 ? 'none' : known.join('; ');
}
