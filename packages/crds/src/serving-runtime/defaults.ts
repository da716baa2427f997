import { type ApiGroup, kserveGroup, namesFor } from '../names.ts';
import { type ServingRuntimeSpec, serverContainerName } from './schema.ts';

export const builtInRuntimeName = 'roundhouse-model-server';

/** The runtime of the embedded model server, to be applied at installation. */
export function builtInRuntime(group: ApiGroup = kserveGroup) {
  return {
    apiVersion: `${group}/v1alpha1`,
    kind: 'ClusterServingRuntime',
    metadata: {
      name: builtInRuntimeName,
      annotations: { [namesFor(group).annotations.serverType]: builtInRuntimeName },
    },
    spec: builtInRuntimeSpec,
  } as const;
}

const resources = { cpu: '1', memory: '2Gi' };

const builtInRuntimeSpec = {
  multiModel: true,
  // Below all others: where KServe's servers are installed, a service that names none keeps the one that it had.
  supportedModelFormats: ['onnx', 'xgboost', 'lightgbm'].map((name) => ({ name, autoSelect: true })),
  protocolVersions: ['v1', 'v2', 'grpc-v2'],
  containers: [
    {
      name: serverContainerName,
      image: 'roundhouse/model-server:0.1.0',
      args: [
        ...['--model-dir', '/mnt/models', '--http-port', '8080', '--grpc-port', '9000'],
        ...['--socket', '/mnt/models/.server.sock'],
      ],
      ports: [
        { name: 'http', containerPort: 8080, protocol: 'TCP' },
        { name: 'grpc', containerPort: 9000, protocol: 'TCP' },
      ],
      // It listens on the pod's loopback, where the kubelet cannot knock: the agent beside it says whether it answers.
      readinessProbe: { httpGet: { path: '/readyz', port: 9082 }, periodSeconds: 1, failureThreshold: 3 },
      resources: { requests: resources, limits: resources },
      // The library of the ONNX runtime is unpacked there.
      volumeMounts: [{ name: 'scratch', mountPath: '/tmp' }],
      securityContext: {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
        runAsNonRoot: true,
        seccompProfile: { type: 'RuntimeDefault' },
      },
    },
  ],
  volumes: [{ name: 'scratch', emptyDir: { sizeLimit: '256Mi' } }],
} satisfies ServingRuntimeSpec;
