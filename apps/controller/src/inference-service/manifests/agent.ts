import { bytesOf } from '@roundhouse/crds';
import { controlHost, controlPort } from '../../cluster.ts';
import { serverType } from '../runtime.ts';
import {
  byKey,
  type Container,
  grpcPortOf,
  httpPortOf,
  modelMemoryBytes,
  restricted,
  withResources,
} from './container.ts';
import { modelDiskFor } from './model-disk.ts';
import type { Rendering } from './rendering.ts';

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

/** The agent has the whole volume, the server only the models in place: KServe's servers load every directory that they see. */
const modelVolume = '/mnt/model-dir';
export const modelSubPath = 'models';

const secretsDirectory = '/var/run/roundhouse/secrets';

/** What the agent takes unless it is configured: it streams artifacts and requests, and keeps neither. */
const amountsDefault = { cpuRequest: '100m', cpuLimit: '1', memoryRequest: '128Mi', memoryLimit: '1Gi' };

/** The sidecar that makes "loaded on this server" equal to "assigned to this replica", and carries its traffic. */
export function agentContainer(rendering: Rendering, server: Container): Container {
  const { storage, installation, config } = rendering;
  const grpcPort = grpcPortOf(server);
  const container: Container = {
    name: 'agent',
    image: installation.agentImage,
    imagePullPolicy: 'IfNotPresent',
    args: [
      ...['--enable-puller', '--config-dir', '/mnt/configs'],
      ...['--model-dir', `${modelVolume}/${modelSubPath}`, '--state-dir', `${modelVolume}/state`],
      ...['--component-port', String(httpPortOf(server)), '--port', '9081', '--ops-port', '9082'],
      ...(grpcPort === undefined ? [] : ['--component-grpc-port', String(grpcPort)]),
    ],
    env: environment(rendering, server),
    ports: [
      { name: 'data', containerPort: 9081, protocol: 'TCP' },
      { name: 'ops', containerPort: 9082, protocol: 'TCP' },
    ],
    readinessProbe: { httpGet: { path: '/readyz', port: 9082 }, periodSeconds: 1, failureThreshold: 3 },
    livenessProbe: { httpGet: { path: '/healthz', port: 9082 }, periodSeconds: 10, failureThreshold: 3 },
    securityContext: { readOnlyRootFilesystem: true },
    volumeMounts: [
      { name: 'model-dir', mountPath: modelVolume },
      { name: 'model-config', mountPath: '/mnt/configs', readOnly: true },
      { name: 'roundhouse-ca', mountPath: '/var/run/roundhouse/ca', readOnly: true },
      { name: 'roundhouse-token', mountPath: '/var/run/secrets/roundhouse', readOnly: true },
      ...storage.secrets.map((name) => ({
        name: `secret-${name}`,
        mountPath: `${secretsDirectory}/${name}`,
        readOnly: true,
      })),
    ],
  };
  return restricted(withResources(container, { ...amountsDefault, ...config.agent }));
}

function environment(rendering: Rendering, server: Container) {
  const { names, service, runtime, fileRoots, installation, config, storage } = rendering;
  const fromPod = (name: string, fieldPath: string) => ({ name, valueFrom: { fieldRef: { fieldPath } } });
  const given = ((server.env ?? []) as { readonly name?: unknown }[]).filter(
    ({ name }) => typeof name === 'string' && storageSetting.test(name),
  );
  const settings = { ...settingsFrom(config.credentials.s3), ...storage.env };
  return [
    ...byKey(
      'name',
      Object.entries(settings).map(([name, value]) => ({ name, value })),
      given,
    ),
    fromPod('POD_NAME', 'metadata.name'),
    fromPod('POD_NAMESPACE', 'metadata.namespace'),
    fromPod('POD_UID', 'metadata.uid'),
    fromPod('POD_IP', 'status.podIP'),
    { name: 'INFERENCE_SERVICE_NAME', value: service.name },
    { name: 'ROUNDHOUSE_CONTROL_ADDRESS', value: `${controlHost(installation)}:${controlPort}` },
    { name: 'ROUNDHOUSE_CA_FILE', value: '/var/run/roundhouse/ca/ca.crt' },
    { name: 'ROUNDHOUSE_TOKEN_FILE', value: '/var/run/secrets/roundhouse/token' },
    { name: 'ROUNDHOUSE_DIALECT', value: dialects[serverType(names, runtime)] ?? 'v2' },
    // 0 stands for no known limit, as in the control stream.
    { name: 'ROUNDHOUSE_MODEL_MEMORY_BYTES', value: String(modelMemoryBytes(server) ?? 0) },
    { name: 'ROUNDHOUSE_MODEL_DISK_BYTES', value: String(bytesOf(modelDiskFor(service, server)) ?? 0) },
    { name: 'ROUNDHOUSE_FILE_ROOTS', value: fileRoots.join(':') },
    { name: 'ROUNDHOUSE_PLACEMENT', value: 'replicate' },
    { name: 'ROUNDHOUSE_SECRETS_DIR', value: secretsDirectory },
  ];
}

const s3Variables: Readonly<Record<string, string>> = {
  s3Endpoint: 'S3_ENDPOINT',
  s3UseHttps: 'S3_USE_HTTPS',
  s3Region: 'AWS_DEFAULT_REGION',
  s3VerifySSL: 'S3_VERIFY_SSL',
  s3UseVirtualBucket: 'S3_USER_VIRTUAL_BUCKET',
  s3UseAccelerate: 'S3_USE_ACCELERATE',
  s3UseAnonymousCredential: 'awsAnonymousCredential',
  s3CABundle: 'AWS_CA_BUNDLE',
};

/** `credentials.s3` of the configuration in the names that storage clients read. */
function settingsFrom(s3: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(s3Variables).flatMap(([key, variable]) => (s3[key] ? [[variable, s3[key]]] : [])),
  );
}
