import { controlHost, controlPort } from '../../cluster.ts';
import { type Container, modelMemoryBytes } from './container.ts';
import { type Rendering, serverType } from './rendering.ts';

/** Settings of storage clients and proxies: given to the server's container, they mean the agent's downloads. */
const storageSetting = /^(AWS_|S3_|GOOGLE_|STORAGE_|HF_|AZURE_|awsAnonymousCredential$|(https?|no|all)_proxy$)/i;

const dialects: Readonly<Record<string, string>> = {
  'roundhouse-model-server': 'embedded',
  tritonserver: 'triton',
  mlserver: 'mlserver',
  sklearnserver: 'kserve',
  xgbserver: 'kserve',
  lgbserver: 'kserve',
  predictiveserver: 'kserve',
};

const secretsDirectory = '/var/run/roundhouse/secrets';

/** Where model servers take gRPC, by KServe's convention; only those that declare it are asked. */
const grpcPort = 9000;

const servesGrpc = ({ ports = [] }: Container) =>
  (ports as readonly { readonly containerPort?: number }[]).some(({ containerPort }) => containerPort === grpcPort);

/** The sidecar that makes "loaded on this server" equal to "assigned to this replica", and carries its traffic. */
export function agentContainer(rendering: Rendering, server: Container): Container {
  const { secrets, installation } = rendering;
  return {
    name: 'agent',
    image: installation.agentImage,
    imagePullPolicy: 'IfNotPresent',
    args: [
      ...['--enable-puller', '--config-dir', '/mnt/configs', '--model-dir', '/mnt/models'],
      ...['--component-port', '8080', '--port', '9081', '--ops-port', '9082'],
      ...(servesGrpc(server) ? ['--component-grpc-port', String(grpcPort)] : []),
    ],
    env: environment(rendering, server),
    ports: [
      { name: 'data', containerPort: 9081, protocol: 'TCP' },
      { name: 'ops', containerPort: 9082, protocol: 'TCP' },
    ],
    readinessProbe: { httpGet: { path: '/readyz', port: 9082 }, periodSeconds: 1, failureThreshold: 3 },
    livenessProbe: { httpGet: { path: '/healthz', port: 9082 }, periodSeconds: 10, failureThreshold: 3 },
    resources: { requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '1', memory: '1Gi' } },
    securityContext: {
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    },
    volumeMounts: [
      { name: 'model-dir', mountPath: '/mnt/models' },
      { name: 'model-config', mountPath: '/mnt/configs', readOnly: true },
      { name: 'roundhouse-ca', mountPath: '/var/run/roundhouse/ca', readOnly: true },
      { name: 'roundhouse-token', mountPath: '/var/run/secrets/roundhouse', readOnly: true },
      ...secrets.map((name) => ({
        name: `secret-${name}`,
        mountPath: `${secretsDirectory}/${name}`,
        readOnly: true,
      })),
    ],
  };
}

function environment({ service, runtime, fileRoots, installation }: Rendering, server: Container) {
  const fromPod = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const given = ((server.env ?? []) as { readonly name?: unknown }[]).filter(
    ({ name }) => typeof name === 'string' && storageSetting.test(name),
  );
  return [
    ...given,
    fromPod('POD_NAME', 'metadata.name'),
    fromPod('POD_NAMESPACE', 'metadata.namespace'),
    fromPod('POD_UID', 'metadata.uid'),
    fromPod('POD_IP', 'status.podIP'),
    { name: 'INFERENCE_SERVICE_NAME', value: service.name },
    { name: 'ROUNDHOUSE_CONTROL_ADDRESS', value: `${controlHost(installation)}:${controlPort}` },
    { name: 'ROUNDHOUSE_CA_FILE', value: '/var/run/roundhouse/ca/ca.crt' },
    { name: 'ROUNDHOUSE_TOKEN_FILE', value: '/var/run/secrets/roundhouse/token' },
    { name: 'ROUNDHOUSE_DIALECT', value: dialects[serverType(runtime)] ?? 'v2' },
    // 0 stands for no known limit, as in the control stream.
    { name: 'ROUNDHOUSE_MODEL_MEMORY_BYTES', value: String(modelMemoryBytes(server) ?? 0) },
    { name: 'ROUNDHOUSE_FILE_ROOTS', value: fileRoots.join(':') },
    { name: 'ROUNDHOUSE_PLACEMENT', value: 'replicate' },
    { name: 'ROUNDHOUSE_SECRETS_DIR', value: secretsDirectory },
  ];
}
