/**
 * Good and bad objects of each rule. The rules' twins are tested with them here, and the CEL forms wherever there is an API
 * server. `field` is what a refusal must name; undefined is a good sample.
 */
export type Sample = {
  readonly title: string;
  readonly kind: 'TrainedModel' | 'InferenceService' | 'ServingRuntime';
  readonly name: string;
  readonly spec: Readonly<Record<string, unknown>>;
  /** The spec that is stored already, when the sample is an update. */
  readonly stored?: Readonly<Record<string, unknown>>;
  readonly field?: string;
};

const model = (change: Readonly<Record<string, unknown>> = {}) => ({
  inferenceService: 'shared',
  model: { storageUri: 's3://bucket/iris', framework: 'onnx', memory: '256Mi', ...change },
});

const predictor = (fields: Readonly<Record<string, unknown>>) => ({ predictor: fields });
const trained = { kind: 'TrainedModel', name: 'iris' } as const;
const service = { kind: 'InferenceService', name: 'shared' } as const;
const runtime = { kind: 'ServingRuntime', name: 'own' } as const;
const uri = { ...trained, field: 'spec.model.storageUri' };
const memory = { ...trained, field: 'spec.model.memory' };

export const samples: readonly Sample[] = [
  { ...trained, title: 'an S3 model', spec: model() },
  { ...trained, title: 'memory as a number', spec: model({ memory: 268435456 }) },
  { ...trained, title: 'memory with a fraction', spec: model({ memory: '0.5Gi' }) },
  { ...trained, title: 'a file of the node', spec: model({ storageUri: 'file:///models/iris' }) },
  { ...trained, title: 'an unknown framework', spec: model({ framework: 'abacus' }) },
  { ...trained, title: 'a name with a dot', name: 'iris.v2', spec: model(), field: 'metadata.name' },
  { ...uri, title: 'an unknown scheme', spec: model({ storageUri: 'ftp://host/iris' }) },
  { ...uri, title: 'a scheme in capitals', spec: model({ storageUri: 'S3://bucket/iris' }) },
  { ...uri, title: 'nothing after the scheme', spec: model({ storageUri: 's3://' }) },
  { ...memory, title: 'no memory', spec: model({ memory: '0' }) },
  { ...memory, title: 'no memory with a unit', spec: model({ memory: '0.0Gi' }) },
  { ...memory, title: 'no memory as a number', spec: model({ memory: 0 }) },
  { ...memory, title: 'negative memory', spec: model({ memory: '-1Gi' }) },
  { ...memory, title: 'memory that is no quantity', spec: model({ memory: 'plenty' }) },
  {
    ...trained,
    title: 'the same memory in other words',
    stored: model({ memory: '1Gi' }),
    spec: model({ memory: '1024Mi' }),
  },
  { ...memory, title: 'a change of memory', stored: model({ memory: '1Gi' }), spec: model({ memory: '2Gi' }) },
  {
    ...trained,
    title: 'a move to another service',
    stored: model(),
    spec: { ...model(), inferenceService: 'other' },
  },

  // Objects may be older than these rules, or than a field: stored by KServe in its various versions, or by an earlier Roundhouse.
  {
    ...trained,
    title: 'what KServe stored before, with fields that are gone',
    spec: { ...model({ framework: 'sklearn', memory: '1000Mi', schema: 'gone' }), endpoint: 'gone' },
  },
  {
    ...service,
    title: 'a service as KServe 0.7 had it, with the name of its container',
    spec: predictor({
      minReplicas: 1,
      sklearn: { name: 'sklearn-iris', protocolVersion: 'v1', resources: { limits: { cpu: 1 } } },
    }),
  },
  {
    ...service,
    title: 'a service as KServe converts it today',
    spec: predictor({
      automountServiceAccountToken: false,
      model: {
        modelFormat: { name: 'triton' },
        protocolVersion: 'v2',
        name: '',
        resources: {},
        env: [],
        runtime: 'own',
      },
    }),
  },
  {
    ...service,
    title: 'a service with parts that we do not have',
    spec: {
      ...predictor({ onnx: {}, canaryTrafficPercent: 10, logger: { mode: 'all' } }),
      transformer: { containers: [] },
    },
  },
  {
    ...runtime,
    title: 'a runtime of ModelMesh',
    spec: {
      containers: [{ name: 'kserve-container', image: 'i:1' }],
      supportedModelFormats: [{ name: 'keras', version: '2', autoSelect: true }],
      multiModel: true,
      grpcEndpoint: 'port:8085',
      builtInAdapter: { serverType: 'triton', runtimeManagementPort: 8001, memBufferBytes: 134217728 },
      storageHelper: { disabled: false },
      replicas: 1,
    },
  },

  { ...service, title: 'a model with a format', spec: predictor({ model: { modelFormat: { name: 'onnx' } } }) },
  {
    ...service,
    title: "KServe's framework key",
    spec: predictor({ sklearn: { protocolVersion: 'v1' }, minReplicas: 1 }),
  },
  { ...service, title: 'a container of its own', spec: predictor({ containers: [{ name: 'kserve-container' }] }) },
  {
    ...service,
    title: 'a model and a sidecar',
    spec: predictor({ model: { modelFormat: { name: 'onnx' } }, containers: [{ name: 'sidecar' }] }),
  },
  { ...service, title: 'fields of a Pod', spec: predictor({ xgboost: {}, nodeSelector: { disk: 'fast' } }) },
  {
    ...service,
    title: 'a name that starts with a digit',
    name: '1st',
    spec: predictor({ onnx: {} }),
    field: 'metadata.name',
  },
  {
    ...service,
    title: 'a name too long for its Service',
    name: 'a'.repeat(54),
    spec: predictor({ onnx: {} }),
    field: 'metadata.name',
  },
  { ...service, title: 'no implementation', spec: predictor({ minReplicas: 1 }), field: 'spec.predictor' },
  { ...service, title: 'two implementations', spec: predictor({ onnx: {}, sklearn: {} }), field: 'spec.predictor' },
  {
    ...service,
    title: 'fewer replicas at most than at least',
    spec: predictor({ onnx: {}, minReplicas: 3, maxReplicas: 2 }),
    field: 'spec.predictor',
  },
  {
    ...service,
    title: 'less than no replica',
    spec: predictor({ onnx: {}, minReplicas: -1 }),
    field: 'spec.predictor.minReplicas',
  },

  { ...runtime, title: 'a runtime', spec: { containers: [{ name: 'kserve-container', image: 'server:1' }] } },
  {
    ...runtime,
    title: 'a runtime without its container',
    spec: { containers: [{ name: 'server' }] },
    field: 'spec.containers',
  },
];
