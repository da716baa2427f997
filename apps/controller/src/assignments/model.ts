import { createHash } from 'node:crypto';
import {
  annotations,
  bytesOf,
  formatQuantity,
  type ModelEntry,
  type Names,
  parseQuantity,
  trainedModelProblems,
  trainedModelSpec,
} from '@roundhouse/crds';
import type { OwnModel, ServiceView } from '../inference-service/view.ts';

/** The parts of a stored TrainedModel that we read. */
export type ModelObject = {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly generation?: number;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec?: unknown;
};

/** What a replica is told about a model. A change of `digest` is a change of version. */
export type Assignment = {
  readonly name: string;
  readonly storageUri: string;
  readonly framework: string;
  readonly memory: string;
  readonly memoryBytes: bigint;
  readonly sha256: string;
  readonly secret: string;
  readonly digest: string;
};

/** A TrainedModel as the fleet plans with it. */
export type Model = {
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  readonly parent: string;
  readonly createdMs: number;
  readonly generation: number;
  readonly deleting: boolean;
  /** Whether it had its place before this process knew of it. */
  readonly allocated: boolean;
  readonly problems: readonly string[];
  /** Whether it is a service's own model: there is no TrainedModel. */
  readonly own: boolean;
  readonly memoryBytes: number;
  readonly gpuBytes: number;
  readonly assignment: Assignment;
};

export function modelFor(names: Names, { metadata, spec }: ModelObject): Model {
  const { name, namespace = '', labels, deletionTimestamp } = metadata;
  const problems = trainedModelProblems(name, spec);
  const parsed = trainedModelSpec.safeParse(spec).data;
  const parent = parsed?.inferenceService ?? '';
  const memoryBytes = bytesOf(parsed?.model.memory) ?? 0;
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    parent,
    createdMs: Date.parse(metadata.creationTimestamp ?? '') || 0,
    generation: metadata.generation ?? 0,
    deleting: deletionTimestamp !== undefined,
    allocated: labels?.[names.labels.allocated] === parent,
    problems,
    own: false,
    memoryBytes,
    gpuBytes: bytesOf(metadata.annotations?.[annotations.gpuMemory]) ?? 0,
    assignment: assignmentFor(name, parsed?.model, metadata.annotations ?? {}, memoryBytes),
  };
}

/** The model of a service that is not shared. It has the whole server to itself, whatever it takes. */
export function ownModelFor(namespace: string, name: string, { createdMs, own }: OwnedView): Model {
  const spec = { storageUri: own.storageUri, framework: own.framework, memory: '0' };
  return {
    key: `${namespace}/${name}`,
    namespace,
    name,
    parent: name,
    createdMs,
    generation: 0,
    deleting: false,
    allocated: false,
    problems: [],
    own: true,
    memoryBytes: 0,
    gpuBytes: 0,
    assignment: assignmentFor(name, spec, own.annotations, 0),
  };
}

type OwnedView = Pick<ServiceView, 'createdMs'> & { readonly own: OwnModel };

type ModelSpec = { readonly storageUri: string; readonly framework: string; readonly memory: string | number };

function assignmentFor(
  name: string,
  model: ModelSpec | undefined,
  notes: Readonly<Record<string, string>>,
  memoryBytes: number,
): Assignment {
  const quantity = parseQuantity(model?.memory);
  const fields = {
    name,
    storageUri: model?.storageUri ?? '',
    framework: model?.framework ?? '',
    memory: quantity === undefined ? '' : formatQuantity(quantity),
    sha256: notes[annotations.sha256] ?? '',
    secret: notes[annotations.secret] ?? '',
  };
  const digest = createHash('sha256').update(JSON.stringify(fields)).digest('hex').slice(0, 32);
  return { ...fields, memoryBytes: BigInt(Math.max(0, memoryBytes)), digest };
}

/** The model's entry in the ConfigMap. */
export function entryFor({ name, assignment: { storageUri, framework, memory } }: Model): ModelEntry {
  return { modelName: name, modelSpec: { storageUri, framework, memory } };
}
