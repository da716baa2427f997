import {
  type Names,
  type Predictor,
  type ResolvedPredictor,
  type RuntimeContainer,
  type ServingRuntimeSpec,
  serverContainerName,
} from '@roundhouse/crds';

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

type Env = readonly { readonly name?: string; readonly value?: string }[];

/** A predictor's own containers as a runtime: the first one serves, and what it can load only it knows. */
export function ownRuntime({ containers = [] }: Predictor): Runtime {
  const own = (containers as readonly Partial<RuntimeContainer>[]).map((container, index) => ({
    ...container,
    name: container.name ?? (index === 0 ? serverContainerName : `container-${index}`),
  }));
  const env = (own[0]?.env ?? []) as Env;
  const protocol = env.find(({ name }) => name === 'PROTOCOL')?.value ?? 'v1';
  return {
    name: 'containers',
    namespaced: true,
    createdMs: 0,
    annotations: {},
    spec: { containers: own, protocolVersions: [protocol] },
  };
}

/** Servers that read their models at start and have no way to load more. */
const staticServers: ReadonlySet<string> = new Set([
  ...['tensorflow-serving', 'torchserve', 'pmmlserver', 'paddleserver', 'autogluonserver'],
  ...['huggingfaceserver', 'vllmserver', 'ovms'],
]);

/** Why models cannot be loaded while the runtime's server runs; a runtime says by `multiModel: true` that they can. */
export function staticProblem(names: Names, runtime: Runtime): string | undefined {
  const type = serverType(names, runtime);
  if (runtime.spec.multiModel === true || !staticServers.has(type)) return undefined;
  return `runtime "${runtime.name}" (${type}) cannot load models while it runs; a server that can says so by multiModel: true`;
}

/** What kind of server the runtime runs, by KServe's annotation or by its name. */
export function serverType(names: Names, { name, annotations }: Runtime): string {
  return annotations[names.annotations.serverType] ?? name;
}

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
  // A runtime that is named speaks what it speaks, unless something else is asked for.
  if (!lists || (protocolVersion !== undefined && !speaks(runtime, protocolVersion))) {
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
  if (spec.supportedModelFormats === undefined) return true; // containers of one's own: only their author knows
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
