import { frameworkKeys } from '@roundhouse/crds';
import { familyFor, familyNamed, type Options, type Source, sharedService, unreadNotes } from './draft.ts';
import { type Fields, fieldsOf, groupOf, type Manifest, type Note, namespaceOf, titleOf } from './manifest.ts';

const kserve = 'serving.kserve.io';
const deploymentMode = `${kserve}/deploymentMode`;

const credentials =
  'its credentials are no part of the model: give the InferenceService a serviceAccountName whose Secret has them';
const ways = {
  'spec.storage.key': credentials,
  'spec.storage.s3.secretKey': credentials,
  'spec.predictor.model.storage.key': credentials,
  'spec.gpu': 'ask for GPUs in resources of the InferenceService',
  'spec.modelType.version': 'the model server decides which versions it loads',
  'spec.predictor.model.modelFormat.version': 'the model server decides which versions it loads',
  'spec.predictor.minReplicas': 'replicas are those of the shared InferenceService',
  'spec.predictor.maxReplicas': 'replicas are those of the shared InferenceService',
  'spec.replicas': 'replicas are those of the shared InferenceService: set minReplicas there',
  'spec.containers': 'image and resources: set them in spec.predictor.model of the shared InferenceService',
};

/** KServe ModelMesh: `Predictor`, InferenceService in its mode, and ServingRuntimes for many models. */
export const modelmesh: Source = {
  name: 'modelmesh',
  detects: (manifest) => isPredictor(manifest) || isInMode(manifest) || isRuntime(manifest),
  takes: (manifest) => isPredictor(manifest) || isService(manifest) || isRuntime(manifest),
  convert: (manifest, all, options) => {
    if (isRuntime(manifest)) return { notes: runtimeNotes(manifest) };
    return convertModel(manifest, all, options);
  },
};

const isPredictor = (manifest: Manifest) => groupOf(manifest) === kserve && manifest.kind === 'Predictor';
const isService = (manifest: Manifest) => groupOf(manifest) === kserve && manifest.kind === 'InferenceService';
const isInMode = (manifest: Manifest) =>
  isService(manifest) && manifest.metadata.annotations?.[deploymentMode] === 'ModelMesh';
/** Of ModelMesh's own: `multiModel` marks them, and nothing else of KServe's. */
const isRuntime = (manifest: Manifest) =>
  groupOf(manifest) === kserve &&
  /^(Cluster)?ServingRuntime$/.test(manifest.kind) &&
  ((manifest.spec ?? {}) as Record<string, unknown>).multiModel === true;

function convertModel(manifest: Manifest, all: readonly Manifest[], options: Options) {
  const fields = fieldsOf(manifest);
  const object = titleOf(manifest);
  const problem = (field: string | undefined, message: string) => ({
    notes: [{ severity: 'problem', object, field, message } as const],
  });
  const paths = pathsIn(manifest, fields);
  const framework = paths.framework ?? fields.text(paths.format);
  if (framework === undefined) return problem(paths.format, 'is missing: it says what the model was made with');
  const place = placeOf(fields, paths, options);
  if ('problem' in place) return problem(place.field, place.problem);

  const runtime = fields.text(paths.runtime);
  const named = familyNamed(runtimeServer(runtime, all) ?? runtime);
  const family = named ?? familyFor(framework);
  if (family === undefined)
    return problem(paths.format, `no model server here loads "${framework}": docs/how-to/add-a-model-server.md`);
  const protocol = fields.text(paths.protocol);
  const notes: Note[] = unreadNotes(object, fields.unread('spec'), ways);
  if (protocol?.endsWith('v1'))
    notes.push({ severity: 'note', object, field: paths.protocol, message: 'the shared service speaks v2' });
  if (runtime !== undefined && named === undefined)
    notes.push({
      severity: 'note',
      object,
      field: paths.runtime,
      message: `"${runtime}" does not load models through V2's repository; ${family} was chosen for ${framework}`,
    });
  const service = sharedService(family, namespaceOf(manifest));
  return { models: [{ from: manifest, storageUri: place.uri, framework, memory: undefined, service }], notes };
}

type Paths = {
  readonly format: string;
  /** Where a key of the predictor says it. */
  readonly framework: string | undefined;
  readonly uri: string;
  readonly storage: string;
  readonly runtime: string;
  readonly protocol: string;
};

function pathsIn(manifest: Manifest, fields: Fields): Paths {
  if (isPredictor(manifest)) {
    const [format, uri, storage] = ['spec.modelType.name', 'spec.storageUri', 'spec.storage'];
    return {
      ...{ format, uri, storage },
      framework: undefined,
      runtime: 'spec.runtime.name',
      protocol: 'spec.protocolVersion',
    };
  }
  const framework = frameworkKeys.find((key) => fields.has(`spec.predictor.${key}`));
  const base = `spec.predictor.${framework ?? 'model'}`;
  return {
    framework,
    ...{ format: `${base}.modelFormat.name`, uri: `${base}.storageUri`, storage: `${base}.storage` },
    ...{ runtime: `${base}.runtime`, protocol: `${base}.protocolVersion` },
  };
}

type Place = { readonly uri: string } | { readonly field: string; readonly problem: string };

const schemes: Readonly<Record<string, string>> = { s3: 's3', gs: 'gs', gcs: 'gs' };

function placeOf(fields: Fields, { uri, storage }: Paths, options: Options): Place {
  const given = fields.text(uri);
  if (given !== undefined) return { uri: given };
  const path = fields.text(`${storage}.path`) ?? fields.text('spec.path');
  if (path === undefined) return { field: `${storage}.path`, problem: 'is missing, and so is a storageUri' };
  const type = fields.text(`${storage}.parameters.type`) ?? 's3';
  const scheme = schemes[type];
  if (scheme === undefined)
    return {
      field: `${storage}.parameters.type`,
      problem: `"${type}" is not read; put the model into S3, GCS or HTTPS`,
    };
  if (fields.has(`${storage}.persistentVolumeClaim`))
    return {
      field: `${storage}.persistentVolumeClaim`,
      problem: 'claims are not read; put the model into S3, GCS or HTTPS',
    };
  const bucket = fields.text(`${storage}.parameters.bucket`) ?? fields.text(`${storage}.s3.bucket`) ?? options.bucket;
  if (bucket === undefined)
    return {
      field: `${storage}.parameters.bucket`,
      problem: 'is missing: it is the default_bucket of the Secret; name it with --bucket',
    };
  return { uri: `${scheme}://${bucket}/${path.replace(/^\/+/, '')}` };
}

/** What kind of server a runtime of the input says that it is. */
function runtimeServer(runtime: string | undefined, all: readonly Manifest[]): string | undefined {
  const found = all.find((manifest) => isRuntime(manifest) && manifest.metadata.name === runtime);
  return fieldsOf(found).text('spec.builtInAdapter.serverType');
}

function runtimeNotes(manifest: Manifest): Note[] {
  const object = titleOf(manifest);
  const fields = fieldsOf(manifest);
  const family = familyNamed(fields.text('spec.builtInAdapter.serverType'));
  if (family === undefined)
    return [
      {
        severity: 'problem',
        object,
        message:
          "its server is told about models by an adapter of ModelMesh; a server here offers V2's repository: docs/how-to/add-a-model-server.md",
      },
    ];
  const { runtime } = sharedService(family, 'default');
  return [
    {
      severity: 'note',
      object,
      message: `is replaced by ClusterServingRuntime ${runtime}, which comes with the chart`,
    },
    ...unreadNotes(
      object,
      fields.unread('spec').filter((path) => !implied.has(path)),
      ways,
    ),
  ];
}

/** Said by the runtime that takes the place. */
const implied: ReadonlySet<string> = new Set([
  'spec.multiModel',
  'spec.supportedModelFormats',
  'spec.protocolVersions',
]);
