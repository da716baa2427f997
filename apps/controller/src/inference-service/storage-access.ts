import { isKubeError } from '@roundhouse/kube';
import { type Cluster, resources, type Stored } from '../cluster.ts';
import type { StorageAccess } from './manifests/rendering.ts';
import type { ServiceConfig } from './service-config.ts';

const secretAnnotation = 'serving.kserve.io/storageSecretName';

/** KServe's annotations about S3, and the variables that storage clients read. */
const settings: Readonly<Record<string, string>> = {
  'serving.kserve.io/s3-endpoint': 'S3_ENDPOINT',
  'serving.kserve.io/s3-usehttps': 'S3_USE_HTTPS',
  'serving.kserve.io/s3-region': 'AWS_DEFAULT_REGION',
  'serving.kserve.io/s3-verifyssl': 'S3_VERIFY_SSL',
  'serving.kserve.io/s3-usevirtualbucket': 'S3_USER_VIRTUAL_BUCKET',
  'serving.kserve.io/s3-useaccelerate': 'S3_USE_ACCELERATE',
  'serving.kserve.io/s3-useanoncredential': 'awsAnonymousCredential',
  'serving.kserve.io/s3-cabundle': 'AWS_CA_BUNDLE',
};

type Annotations = Readonly<Record<string, string>>;
type Predictor = { readonly serviceAccountName?: string; readonly annotations?: Annotations };

/**
 * KServe's conventions: the Secret that an annotation names, or those of the pods' ServiceAccount; and settings of S3 in
 * annotations of the service, of the account and of the Secrets. A Secret's content is never asked for, and its annotations
 * are in effect where we may see them.
 */
export async function loadStorageAccess(
  { cluster }: { readonly cluster: Cluster },
  { metadata, spec }: Stored,
  { credentials }: ServiceConfig,
  signal: AbortSignal,
): Promise<StorageAccess> {
  const predictor = (spec as { readonly predictor?: Predictor } | undefined)?.predictor ?? {};
  const notes = { ...metadata.annotations, ...predictor.annotations };
  const namespace = metadata.namespace ?? '';
  const account = predictor.serviceAccountName ?? 'default';
  const named = notes[credentials.storageSecretNameAnnotation || secretAnnotation];
  const stored = await cluster.get(resources.serviceAccounts, namespace, account, signal);
  const listed = (stored?.secrets ?? []) as readonly { readonly name?: string }[];
  const secrets = named !== undefined ? [named] : listed.flatMap(({ name }) => name ?? []).sort();
  const fromSecrets = await Promise.all(secrets.map((secret) => settingsOf(cluster, namespace, secret, signal)));
  const env = Object.assign({}, settingsIn(stored?.metadata.annotations), ...fromSecrets.reverse(), settingsIn(notes));
  return { secrets, env };
}

async function settingsOf(cluster: Cluster, namespace: string, secret: string, signal: AbortSignal) {
  try {
    return settingsIn((await cluster.metadata(resources.secrets, namespace, secret, signal))?.annotations);
  } catch (error) {
    if (isKubeError(error, 'kube/denied')) return {}; // as installed: nobody gave us leave to see Secrets
    throw error;
  }
}

function settingsIn(annotations: Annotations = {}): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([note, variable]) => (annotations[note] ? [[variable, annotations[note]]] : [])),
  );
}
