import { serverContainerName } from '@roundhouse/crds';
import { serverType } from '../runtime.ts';
import { modelSubPath } from './agent.ts';
import {
  byKey,
  type Container,
  httpPortOf,
  modelMemoryBytes,
  restricted,
  serverContainer,
  withResources,
} from './container.ts';
import type { Rendering } from './rendering.ts';

/** What KServe gives a custom server without resources. */
const amountsDefault = { cpuRequest: '1', cpuLimit: '1', memoryRequest: '2Gi', memoryLimit: '2Gi' };

/** The container that holds the models, complete but for what an API server adds. */
export function modelServer({ names, service, predictor, resolved, runtime, config }: Rendering): Container {
  const listed = serverIn(runtime);
  const { name, namespace, annotations, owner } = service;
  const format = resolved.format === 'custom' ? '' : resolved.format.name;
  const labels = { ...labelsOf(serverType(names, runtime), format), ...service.labels, ...predictor.labels };
  const merged = serverContainer(listed, resolved.implementation, {
    fields: { Name: name, Namespace: namespace, UID: owner.uid },
    labels,
    annotations: { modelFormat: format, ...annotations },
  });
  const server = restricted(withResources(merged, { ...amountsDefault, ...config.inferenceService.resource }));
  const port = httpPortOf(server);
  const explicit = explicitLoading(serverType(names, runtime));
  return {
    imagePullPolicy: 'IfNotPresent',
    ...server,
    args: [...(server.args ?? []), ...explicit.args.filter((arg) => !isGiven(server, arg))],
    env: byKey('name', server.env, explicit.env, [{ name: 'INFERENCE_SERVICE_NAME', value: service.name }]),
    volumeMounts: byKey('mountPath', server.volumeMounts, [
      { name: 'model-dir', mountPath: '/mnt/models', subPath: modelSubPath },
    ]),
    ports: server.ports ?? [{ name: 'http', containerPort: 8080, protocol: 'TCP' }],
    // Each second, since a pod is of no use before, and a loopback probe costs nothing.
    readinessProbe: server.readinessProbe ?? { tcpSocket: { port }, periodSeconds: 1, failureThreshold: 3 },
    // The kubelet would stop both containers at once: the server stays until its requests are done.
    lifecycle: server.lifecycle ?? { preStop: { httpGet: { path: '/drain', port: 9082 } } },
  };
}

/** The container of a runtime that serves models: the one of KServe's name, or the first of somebody's own. */
export function serverIn({ spec }: Rendering['runtime']): Container {
  const { containers } = spec;
  return containers.find(({ name }) => name === serverContainerName) ?? containers[0] ?? { name: serverContainerName };
}

/** Labels that KServe's runtimes read in their templates. */
function labelsOf(type: string, format: string): Readonly<Record<string, string>> {
  const modelClass = type === 'mlserver' ? modelClasses[format] : undefined;
  return modelClass === undefined ? {} : { modelClass };
}

const modelClasses: Readonly<Record<string, string>> = {
  sklearn: 'mlserver_sklearn.SKLearnModel',
  xgboost: 'mlserver_xgboost.XGBoostModel',
  lightgbm: 'mlserver_lightgbm.LightGBMModel',
  mlflow: 'mlserver_mlflow.MLflowRuntime',
};

/** Bytes for models on each replica; undefined without a memory limit. */
export function capacityBytesOf(rendering: Rendering): number | undefined {
  return modelMemoryBytes(modelServer(rendering));
}

/** Whether the runtime or the service has said it, in whatever way. */
const isGiven = ({ args = [] }: Container, arg: string) => {
  const [flag = ''] = arg.split('=');
  return args.some((given) => given === flag || given.startsWith(`${flag}=`));
};

/** Servers that would load everything they find at start are told to wait to be asked. */
function explicitLoading(type: string): { readonly args: readonly string[]; readonly env: readonly object[] } {
  if (type === 'tritonserver') return { args: ['--model-control-mode=explicit'], env: [] };
  if (type === 'mlserver') return { args: [], env: [{ name: 'MLSERVER_LOAD_MODELS_AT_STARTUP', value: 'false' }] };
  return { args: [], env: [] };
}
