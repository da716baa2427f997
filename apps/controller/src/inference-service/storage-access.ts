import { kserveGroup, type Names } from '@roundhouse/crds';
import { isKubeError } from '@roundhouse/kube';
import { type Cluster, resources, type Stored } from '../cluster.ts';
import type { StorageAccess } from './manifests/rendering.ts';
import type { ServiceConfig } from './service-config.ts';

/** KServe's annotations about S3, below the group, and the variables that storage clients read. */
const settings: Readonly<Record<string, string>> = {
  's3-endpoint': 'S3_ENDPOINT',
  's3-usehttps': 'S3_USE_HTTPS',
  's3-region': 'AWS_DEFAULT_REGION',
  's3-verifyssl': 'S3_VERIFY_SSL',
  's3-usevirtualbucket': 'S3_USER_VIRTUAL_BUCKET',
  's3-useaccelerate': 'S3_USE_ACCELERATE',
  's3-useanoncredential': 'awsAnonymousCredential',
  's3-cabundle': 'AWS_CA_BUNDLE',
};

type Annotations = Readonly<Record<string, string>>;
type Predictor = { readonly serviceAccountName?: string; readonly annotations?: Annotations };

/**
 * KServe's conventions: the Secret that an annotation names, or those of the pods' ServiceAccount; and settings of S3 in
 * annotations of the service, of the account and of the Secrets. Accounts and Secrets may serve KServe as well, so under another group
 * its annotations are read too, and ours take precedence. A Secret's content is never asked for, and its annotations
 * are in effect where we may see them.
 */
export async function loadStorageAccess(
  { names, cluster }: { readonly names: Names; readonly cluster: Cluster },
  { metadata, spec }: Stored,
  { credentials }: ServiceConfig,
  signal: AbortSignal,
): Promise<StorageAccess> {
  const predictor = (spec as { readonly predictor?: Predictor } | undefined)?.predictor ?? {};
  const notes = { ...metadata.annotations, ...predictor.annotations };
  const namespace = metadata.namespace ?? '';
  const account = predictor.serviceAccountName ?? 'default';
  const named = notes[credentials.storageSecretNameAnnotation || names.annotations.storageSecret];
  const stored = await cluster.get(resources.serviceAccounts, namespace, account, signal);
  const listed = (stored?.secrets ?? []) as readonly { readonly name?: string }[];
  const secrets = named !== undefined ? [named] : listed.flatMap(({ name }) => name ?? []).sort();
  const annotated = await Promise.all(secrets.map((secret) => annotationsOf(cluster, namespace, secret, signal)));
  const sources = [stored?.metadata.annotations, ...annotated.reverse(), notes];
  const env = Object.assign({}, ...sources.map((source) => settingsIn(names, source)));
  return { secrets, env };
}

async function annotationsOf(cluster: Cluster, namespace: string, secret: string, signal: AbortSignal) {
  try {
    return (await cluster.metadata(resources.secrets, namespace, secret, signal))?.annotations;
  } catch (error) {
    if (isKubeError(error, 'kube/denied')) return undefined; // as installed: nobody gave us leave to see Secrets
    throw error;
  }
}

function settingsIn({ group }: Names, annotations: Annotations = {}): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(settings).flatMap(([note, variable]) => {
      const value = annotations[`${group}/${note}`] || annotations[`${kserveGroup}/${note}`];
      return value ? [[variable, value]] : [];
    }),
  );
}
