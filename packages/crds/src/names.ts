import { createHash } from 'node:crypto';

/** The group whose kinds Roundhouse serves unless KServe itself stays installed beside it. */
export const kserveGroup = 'serving.kserve.io' as const;
/** The group of the same kinds where KServe stays: its controllers and webhooks see nothing of them. */
export const besideGroup = 'serving.roundhouse.dev' as const;

export const apiGroups = [kserveGroup, besideGroup] as const;
export type ApiGroup = (typeof apiGroups)[number];

/** A resource by its group, version, plural and kind, as URLs and objects name it. */
export type ResourceName = {
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly kind: string;
};

/**
 * Every name that follows the API group. Under `serving.kserve.io` all are KServe's, so that its manifests, clients and
 * agents work; under another group none collides with KServe's objects.
 */
export type Names = ReturnType<typeof namesFor>;

/** At most this many ConfigMaps carry the models of one InferenceService: the pod template lists them all as optional. */
export const shardsMax = 16;

export function namesFor(group: ApiGroup = kserveGroup) {
  const upstream = group === kserveGroup;
  const own = (text: string) => (upstream ? text : `${group}/${text}`);
  const shortName = (text: string) => (upstream ? text : `rh${text}`);
  // KServe's predictors end in "-predictor" and their app begins with "isvc.", so these are none of any service of its. They are as
  // long, so that the same names of services will do.
  const predictor = (service: string) => (upstream ? `${service}-predictor` : `${service}-rh-server`);
  const configMap = (text: string) => (upstream ? text : `rh-${text}`);
  return {
    group,
    inferenceServices: { group, version: 'v1beta1', resource: 'inferenceservices', kind: 'InferenceService' },
    trainedModels: { group, version: 'v1alpha1', resource: 'trainedmodels', kind: 'TrainedModel' },
    servingRuntimes: { group, version: 'v1alpha1', resource: 'servingruntimes', kind: 'ServingRuntime' },
    clusterServingRuntimes: {
      group,
      version: 'v1alpha1',
      resource: 'clusterservingruntimes',
      kind: 'ClusterServingRuntime',
    },
    shortNames: { inferenceService: shortName('isvc'), trainedModel: shortName('tm') },
    labels: {
      /** On every object of a predictor. */
      service: `${group}/inferenceservice`,
      component: own('component'),
      /** On a TrainedModel: its parent. */
      parent: own('inferenceservice'),
      /** On a TrainedModel: the parent whose memory it has been given. */
      allocated: `${group}/trainedmodel-allocated`,
    },
    /** KServe's annotations of a service, its predictor or a runtime. */
    annotations: {
      stop: `${group}/stop`,
      autoscalerClass: `${group}/autoscalerClass`,
      accelerator: `${group}/gke-accelerator`,
      scraping: `${group}/enable-prometheus-scraping`,
      frozen: `${group}/disable-auto-update`,
      storageSecret: `${group}/storageSecretName`,
      serverType: `${group}/server-type`,
    },
    /** Whether a label means something to somebody else's controllers or webhooks: it is not handed on to children. */
    isForeignLabel: (key: string) => !upstream && key.startsWith(`${kserveGroup}/`),
    finalizer: own('trainedmodel.finalizer'),
    predictor,
    app: (service: string) => labelValue(upstream ? `isvc.${predictor(service)}` : predictor(service)),
    modelConfig: (service: string, shard: number) => configMap(`modelconfig-${service}-${shard}`),
    /** The ConfigMap of settings for all services, beside the controller. */
    settings: configMap('inferenceservice-config'),
    /** Hosts of services, where the settings have no template. */
    domainTemplate: `${upstream ? '' : 'rh-'}{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}`,
  } as const;
}

const labelLengthMax = 63;
const hashLength = 8;

/** What would be too long for a label keeps its beginning; a hash tells it from others that begin so. */
function labelValue(text: string): string {
  if (text.length <= labelLengthMax) return text;
  const hash = createHash('sha256').update(text).digest('hex').slice(0, hashLength);
  return `${text.slice(0, labelLengthMax - hashLength - 1)}-${hash}`;
}

/** Our annotations, the same under every group. */
export const annotations = {
  placement: 'roundhouse.dev/placement',
  /** On a TrainedModel: the expected SHA-256 of its artifact, hex. */
  sha256: 'roundhouse.dev/sha256',
  /** On a TrainedModel: the mounted Secret that its download uses. */
  secret: 'roundhouse.dev/secret',
  /** On an InferenceService: bounds that each router keeps for it, for all its requests and for those of any one model. */
  concurrency: 'roundhouse.dev/concurrency',
  modelConcurrency: 'roundhouse.dev/model-concurrency',
  /** On an InferenceService: requests that may wait for their turn. */
  queue: 'roundhouse.dev/queue',
  /** On an InferenceService: the size of one body, such as 16Mi. */
  maxBody: 'roundhouse.dev/max-body',
  /** On an InferenceService: how long its server may take to begin an answer, such as 30s. */
  timeout: 'roundhouse.dev/timeout',
  /** On an InferenceService: what routers ask of those who call it: api-key, jwt, or both with a comma. */
  auth: 'roundhouse.dev/auth',
  /**
   * On an InferenceService: the memory of GPUs that models may take on each replica; on a TrainedModel: what it takes of that,
   * such as 4Gi.
   */
  gpuMemory: 'roundhouse.dev/gpu-memory',
  /** On an InferenceService: how much of a node's disk its models may take on each replica, such as 64Gi. */
  modelDisk: 'roundhouse.dev/model-disk',
  /** On runtimes that the chart brings: its version and the tag of its images. */
  chart: 'roundhouse.dev/chart',
  /** On a Deployment: the agent's image and the chart of the runtime, by which the release that rendered it is known. */
  renderedBy: 'roundhouse.dev/rendered-by',
  /** On a Deployment: the hash of what its owner said. */
  renderedFrom: 'roundhouse.dev/rendered-from',
  /** On rendered children: the hash of what we rendered. */
  rendered: 'roundhouse.dev/rendered',
} as const;

/** The model's path in the API of the resolved protocol, below the service's base URL. */
export function predictPath(protocol: string, model: string): string {
  return protocol.endsWith('v2') ? `/v2/models/${model}/infer` : `/v1/models/${model}:predict`;
}
