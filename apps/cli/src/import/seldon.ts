import {
  type Converted,
  familyFor,
  familyNamed,
  isFormat,
  type ServiceDraft,
  type Source,
  serviceName,
  sharedService,
  unreadNotes,
} from './draft.ts';
import { fieldsOf, groupOf, type Manifest, type Note, namespaceOf, titleOf } from './manifest.ts';

const ways = {
  'spec.replicas': 'a model is on as many replicas as its service places it on (annotation roundhouse.dev/placement)',
  'spec.minReplicas': 'a model is on as many replicas as its service places it on',
  'spec.maxReplicas': 'a model is on as many replicas as its service places it on',
  'spec.secretName': 'give the InferenceService a serviceAccountName whose Secret has the credentials',
  'spec.artifactVersion': 'name the folder of the version in storageUri',
  'spec.requirements': 'more than one: the first that is a format was taken',
  'spec.dedicated': 'give the model an InferenceService of its own',
  'spec.podSpec': 'fields of a Pod go into spec.predictor of the InferenceService',
  'spec.parameters': 'the artifact has to bring them, as model-settings.json does',
};

/** Kinds that carry traffic and have no counterpart. */
const reasons: Readonly<Record<string, string>> = {
  Pipeline: 'steps that feed one another are out of scope: Argo or the client calls one after the other',
  Experiment: 'splits of traffic are out of scope: the client or a gateway divides it',
};

/** Seldon Core 2: `Model` and `Server`. */
export const seldon: Source = {
  name: 'seldon',
  detects: (manifest) => groupOf(manifest) === 'mlops.seldon.io',
  takes: (manifest) => groupOf(manifest) === 'mlops.seldon.io',
  convert(manifest, all) {
    switch (manifest.kind) {
      case 'Model':
        return convertModel(manifest, all);
      case 'Server':
        return convertServer(manifest);
    }
    const message = reasons[manifest.kind] ?? "has no counterpart: it configures Seldon's own parts";
    const severity = manifest.kind in reasons ? 'problem' : 'note';
    return { notes: [{ severity, object: titleOf(manifest), message: `${message}; it is left out` }] };
  },
};

function convertServer(manifest: Manifest): Converted {
  const fields = fieldsOf(manifest);
  const object = titleOf(manifest);
  const service = serviceOf(manifest);
  fields.text('spec.serverConfig');
  const minReplicas = fields.count('spec.minReplicas') ?? fields.count('spec.replicas');
  const maxReplicas = fields.count('spec.maxReplicas');
  if (service === undefined) {
    const message = 'is neither mlserver nor triton: docs/how-to/add-a-model-server.md';
    return { notes: [{ severity: 'problem', object, field: 'spec.serverConfig', message }] };
  }
  const sharedWays = { ...ways, 'spec.replicas': 'minReplicas says how many' };
  const notes = unreadNotes(object, fields.unread('spec'), sharedWays);
  return { services: [{ ...service, minReplicas, maxReplicas }], notes };
}

function serviceOf(server: Manifest): ServiceDraft | undefined {
  const family = familyNamed(fieldsOf(server).text('spec.serverConfig') ?? server.metadata.name);
  return family && sharedService(family, namespaceOf(server), server.metadata.name);
}

function convertModel(manifest: Manifest, all: readonly Manifest[]): Converted {
  const fields = fieldsOf(manifest);
  const object = titleOf(manifest);
  const problem = (field: string, message: string): Converted => ({
    notes: [{ severity: 'problem', object, field, message }],
  });
  for (const kind of ['spec.explainer', 'spec.llm', 'spec.preloaded'])
    if (fields.has(kind)) return problem(kind, 'only models that are loaded from an artifact are taken');
  const storageUri = fields.text('spec.storageUri');
  if (storageUri === undefined) return problem('spec.storageUri', 'is missing: it says where the model is');
  const asked = fields.texts('spec.requirements');
  const framework = [fields.text('spec.modelType'), ...asked].find((text) => text !== undefined && isFormat(text));
  if (framework === undefined) {
    const formats = asked.length === 0 ? 'nothing' : asked.join(', ');
    return problem('spec.requirements', `no model server here loads ${formats}: docs/how-to/add-a-model-server.md`);
  }
  const memory = fields.text('spec.memory');
  const service = placeFor(fields.text('spec.server'), framework, manifest, all);
  const others = asked.filter((text) => text !== framework && familyNamed(text) === undefined);
  const more: Note[] =
    others.length === 0
      ? []
      : [
          {
            severity: 'note',
            object,
            field: 'spec.requirements',
            message: `have no counterpart: ${others.join(', ')}`,
          },
        ];
  const notes = [...unreadNotes(object, fields.unread('spec'), ways), ...more];
  return { models: [{ from: manifest, storageUri, framework, memory, service }], notes };
}

/** The server that the model names, or the first that loads its format, or one of our own naming. */
function placeFor(
  named: string | undefined,
  framework: string,
  model: Manifest,
  all: readonly Manifest[],
): ServiceDraft {
  const family = familyNamed(named) ?? familyFor(framework) ?? 'mlserver';
  const services = all.flatMap((each) => (each.kind === 'Server' ? (serviceOf(each) ?? []) : []));
  const near = services.filter(({ namespace }) => namespace === namespaceOf(model));
  const wanted = sharedService(family, namespaceOf(model), named);
  const found = near.find((service) =>
    named === undefined ? service.runtime === wanted.runtime : service.name === serviceName(named),
  );
  return found ?? wanted;
}
