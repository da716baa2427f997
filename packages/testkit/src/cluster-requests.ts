import { Agent, request } from 'undici';

/** The few calls to a cluster's API that tests and benchmarks need where kubectl's start-up time would be in the way. */
export type ClusterRequests = {
  get<T>(path: string): Promise<T>;
  post(path: string, object: unknown): Promise<void>;
  patch(path: string, change: unknown): Promise<void>;
  delete(path: string): Promise<void>;
};

export function clusterRequests(stack: {
  readonly apiUrl: string;
  readonly token: string;
  readonly ca: string;
}): ClusterRequests {
  const dispatcher = new Agent({ connect: { ca: stack.ca } });
  const call = async (method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, content?: unknown) => {
    const type = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
    const response = await request(new URL(path, stack.apiUrl), {
      method,
      dispatcher,
      headers: { authorization: `Bearer ${stack.token}`, 'content-type': type },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
    });
    const text = await response.body.text();
    if (response.statusCode >= 300) throw new Error(`${method} ${path}: ${response.statusCode} ${text}`);
    return JSON.parse(text);
  };
  return {
    get: (path) => call('GET', path),
    post: (path, object) => call('POST', path, object),
    patch: (path, change) => call('PATCH', path, change),
    delete: (path) => call('DELETE', path),
  };
}

export const inferenceServices = '/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices';
export const trainedModels = '/apis/serving.kserve.io/v1alpha1/namespaces/default/trainedmodels';

export function aService(name: string, predictor: Readonly<Record<string, unknown>> = {}) {
  const model = { modelFormat: { name: 'xgboost' }, runtime: 'roundhouse-model-server' };
  return {
    apiVersion: 'serving.kserve.io/v1beta1',
    kind: 'InferenceService',
    metadata: { name },
    spec: { predictor: { model, ...predictor } },
  };
}

export function aModel(name: string, service: string, storageUri: string, memory = '1Mi', framework = 'xgboost') {
  return {
    apiVersion: 'serving.kserve.io/v1alpha1',
    kind: 'TrainedModel',
    metadata: { name },
    spec: { inferenceService: service, model: { storageUri, framework, memory } },
  };
}
