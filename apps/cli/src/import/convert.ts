import { inferenceServiceProblems, kserveGroup, trainedModelProblems } from '@roundhouse/crds';
import type { ModelDraft, Options, ServiceDraft, Source } from './draft.ts';
import { kserve } from './kserve.ts';
import { groupOf, isRecord, type Manifest, type Note, titleOf } from './manifest.ts';
import { modelmesh } from './modelmesh.ts';
import { seldon } from './seldon.ts';

export const sources: readonly Source[] = [modelmesh, seldon, kserve];

export type Result = { readonly objects: readonly Manifest[]; readonly notes: readonly Note[] };

/**
 * Manifests of another system as ours: InferenceServices first, then their TrainedModels, then what is passed on as it came.
 * `from` names the system; undefined tells by the object. Every object that is not in the result has a note of severity `problem` or
 * one that says what takes its place.
 */
export function convertManifests(input: readonly Manifest[], options: Options, from?: string): Result {
  const services = new Map<string, ServiceDraft>();
  const models: ModelDraft[] = [];
  const passed: Manifest[] = [];
  const notes: Note[] = [];
  for (const manifest of input) {
    const source = sources.find((each) =>
      from === undefined ? each.detects(manifest) : each.name === from && each.takes(manifest),
    );
    if (source === undefined) {
      passed.push(manifest);
      notes.push(...passedNotes(manifest));
      continue;
    }
    const converted = source.convert(manifest, input, options);
    notes.push(...converted.notes);
    models.push(...(converted.models ?? []));
    for (const service of converted.services ?? []) services.set(keyOf(service), service);
  }
  for (const { service } of models) if (!services.has(keyOf(service))) services.set(keyOf(service), service);

  const taken = new Set(passed.map(identityOf));
  const objects = [
    ...[...services.values()].flatMap((service) => checked(serviceFor(service), undefined, taken, notes)),
    ...models.flatMap((model) => {
      if (model.memory === undefined) notes.push(memoryNote(model, options.memory));
      return checked(modelFor(model, options.memory), model.from, taken, notes);
    }),
  ];
  return { objects: [...objects, ...passed], notes };
}

const keyOf = ({ namespace, name }: ServiceDraft) => `${namespace}/${name}`;
const identityOf = (manifest: Manifest) => `${groupOf(manifest)} ${titleOf(manifest)}`;

function passedNotes(manifest: Manifest): Note[] {
  const message =
    groupOf(manifest) === kserveGroup ? undefined : 'is no kind that is converted; it is passed on as it came';
  if (message !== undefined) return [{ severity: 'note', object: titleOf(manifest), message }];
  if (!kserve.takes(manifest)) return [];
  const note = 'works as it is, on servers of its own; --from kserve moves its model into a shared service';
  return [{ severity: 'note', object: titleOf(manifest), message: note }];
}

function memoryNote({ from }: ModelDraft, memory: string): Note {
  const message = `${memory} are assumed, as nothing says how much memory it takes; --memory sets another default`;
  return { severity: 'note', object: titleOf(from), field: 'spec.model.memory', message };
}

/** The object, or a problem: what the CRDs would refuse, or what is there under this name already. */
function checked(object: Manifest, from: Manifest | undefined, taken: Set<string>, notes: Note[]): Manifest[] {
  const { name } = object.metadata;
  const broken =
    object.kind === 'TrainedModel'
      ? trainedModelProblems(name, object.spec)
      : inferenceServiceProblems(name, object.spec);
  const twice = taken.has(identityOf(object)) ? [`${titleOf(object)} is there already; rename one of them`] : [];
  taken.add(identityOf(object));
  const problems = [...broken, ...twice];
  for (const message of problems) notes.push({ severity: 'problem', object: titleOf(from ?? object), message });
  return problems.length === 0 ? [object] : [];
}

function serviceFor({ namespace, name, format, runtime, protocolVersion, ...replicas }: ServiceDraft): Manifest {
  const model = { modelFormat: { name: format }, ...given({ runtime, protocolVersion }) };
  const spec = { predictor: { model, ...given(replicas) } };
  return { apiVersion: `${kserveGroup}/v1beta1`, kind: 'InferenceService', metadata: { name, namespace }, spec };
}

function modelFor({ from, storageUri, framework, memory, service }: ModelDraft, fallback: string): Manifest {
  const { name, namespace, labels, annotations } = from.metadata;
  const metadata = {
    name,
    ...given({ namespace: namespace ?? service.namespace, labels, annotations: own(annotations) }),
  };
  const model = { storageUri, framework, memory: memory ?? fallback };
  const spec = { inferenceService: service.name, model };
  return { apiVersion: `${kserveGroup}/v1alpha1`, kind: 'TrainedModel', metadata, spec };
}

/** Annotations that speak to people or to other tools; those of the system left behind would mislead. */
function own(annotations: unknown): Record<string, string> | undefined {
  if (!isRecord(annotations)) return undefined;
  const kept = Object.entries(annotations).filter(
    ([name]) => !/^(kubectl\.kubernetes\.io|([a-z.]+\.)?kserve\.io|([a-z.]+\.)?seldon\.io)\//.test(name),
  );
  return kept.length === 0 ? undefined : (Object.fromEntries(kept) as Record<string, string>);
}

function given<T extends Record<string, unknown>>(values: T): Partial<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Partial<T>;
}
