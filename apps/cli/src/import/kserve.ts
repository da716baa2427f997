import { frameworkKeys } from '@roundhouse/crds';
import { type Converted, type Source, serviceName, unreadNotes } from './draft.ts';
import { fieldsOf, groupOf, type Manifest, namespaceOf, titleOf } from './manifest.ts';

const ways = {
  'spec.predictor.minReplicas': 'replicas are those of the shared InferenceService',
  'spec.predictor.maxReplicas': 'replicas are those of the shared InferenceService',
  'spec.predictor.model.resources': 'the model takes a part of what the shared servers have: say how much with memory',
  'spec.predictor.serviceAccountName': 'set it on the shared InferenceService',
  'spec.predictor.model.modelFormat.version': 'the model server decides which versions it loads',
  'spec.transformer': 'transformers are out of scope',
  'spec.explainer': 'explainers are out of scope',
};

/**
 * KServe with one service per model: its models move into shared services. They work here as they are, so this is done only when it
 * is asked for.
 */
export const kserve: Source = {
  name: 'kserve',
  detects: () => false,
  takes: (manifest) => placeIn(manifest) !== undefined,
  convert(manifest): Converted {
    const base = placeIn(manifest);
    const fields = fieldsOf(manifest);
    const storageUri = base && fields.text(`${base}.storageUri`);
    const key = frameworkKeys.find((name) => base === `spec.predictor.${name}`);
    const framework = key ?? fields.text(`${base}.modelFormat.name`);
    const object = titleOf(manifest);
    if (base === undefined || storageUri === undefined || framework === undefined) {
      const message = 'is missing: it says what the model was made with';
      return { notes: [{ severity: 'problem', object, field: `${base}.modelFormat.name`, message }] };
    }
    const runtime = fields.text(`${base}.runtime`);
    const protocolVersion = fields.text(`${base}.protocolVersion`);
    const name = serviceName([runtime ?? framework, protocolVersion].filter((part) => part !== undefined).join('-'));
    const service = { namespace: namespaceOf(manifest), name, format: framework, runtime, protocolVersion };
    const notes = unreadNotes(object, fields.unread('spec'), ways);
    return { models: [{ from: manifest, storageUri, framework, memory: undefined, service }], notes };
  },
};

/** Where the one model of a service stands, if it has one that is located by a URI. */
function placeIn(manifest: Manifest): string | undefined {
  if (groupOf(manifest) !== 'serving.kserve.io' || manifest.kind !== 'InferenceService') return undefined;
  const fields = fieldsOf(manifest);
  return ['model', ...frameworkKeys]
    .map((key) => `spec.predictor.${key}`)
    .find((base) => fields.has(`${base}.storageUri`));
}
