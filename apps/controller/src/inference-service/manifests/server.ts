import { serverContainerName } from '@roundhouse/crds';
import { modelSubPath } from './agent.ts';
import { byKey, type Container, modelMemoryBytes, serverContainer } from './container.ts';
import { type Rendering, serverType } from './rendering.ts';

/** The container that holds the models, complete but for what an API server adds. */
export function modelServer({ service, predictor, resolved, runtime }: Rendering): Container {
  const listed = runtime.spec.containers.find(({ name }) => name === serverContainerName) ?? {
    name: serverContainerName,
  };
  const { labels, annotations } = service;
  const format = resolved.format === 'custom' ? '' : resolved.format.name;
  const server = serverContainer(listed, resolved.implementation, {
    name: service.name,
    namespace: service.namespace,
    labels: { ...labels, ...predictor.labels },
    annotations: { modelFormat: format, ...annotations },
  });
  const explicit = explicitLoading(serverType(runtime));
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
    readinessProbe: server.readinessProbe ?? { tcpSocket: { port: 8080 }, periodSeconds: 1, failureThreshold: 3 },
    // The kubelet would stop both containers at once: the server stays until its requests are done.
    lifecycle: server.lifecycle ?? { preStop: { httpGet: { path: '/drain', port: 9082 } } },
  };
}

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
