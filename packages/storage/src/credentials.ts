import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Secret, systemCodeOf } from '@roundhouse/base';
import { StorageError } from './error.ts';

export type S3Credentials = {
  /** Undefined: what the machine has (web identity, instance profile, …), unless `anonymous`. */
  readonly keys: Secret<{ accessKeyId: string; secretAccessKey: string; sessionToken?: string }> | undefined;
  readonly anonymous: boolean;
  /** With scheme. Undefined: Amazon's own. */
  readonly endpoint: string | undefined;
  readonly region: string | undefined;
  /** Bucket in the host name rather than in the path. Undefined: only at Amazon's own endpoints. */
  readonly virtualBucket: boolean | undefined;
  readonly accelerate: boolean;
  readonly verifyTls: boolean;
  /** Certificates (PEM) to trust instead of the system's. */
  readonly ca: string | undefined;
};

export type GcsCredentials = {
  /** The JSON of a service account's key. Undefined: what Google's library finds on the machine, and nothing if it finds nothing. */
  readonly key: Secret | undefined;
  /** An emulator's address, with scheme; it is spoken to without a token unless there is a key. */
  readonly endpoint: string | undefined;
};

export type HttpCredentials = { readonly host: string; readonly headers: Secret<Readonly<Record<string, string>>> };

/** What opens the stores, and where they are. */
export type Credentials = {
  readonly s3: S3Credentials;
  readonly gcs: GcsCredentials;
  readonly http: readonly HttpCredentials[];
};

export type CredentialSources = {
  /** Directory with one directory per mounted Secret, a file per key. Need not exist. */
  readonly secretsDirectory: string | undefined;
  /** Only this Secret; otherwise all of them, in order of their names, the first that has a kind. */
  readonly secretName?: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
};

/**
 * Reads credentials by KServe's conventions: the same keys as in its Secrets, then the same names in the environment.
 * Read at each attempt, since a mounted Secret changes under us. A Secret's annotations cannot be mounted: what they say may
 * lie beside the keys as `serving.kserve.io/<name>` (a volume item's path may have a slash), and takes precedence.
 */
export async function credentialsFrom({ secretsDirectory, secretName, env }: CredentialSources): Promise<Credentials> {
  const names = secretName !== undefined ? [secretName] : await namesIn(secretsDirectory);
  const secrets = await Promise.all(names.map((name) => readSecret(join(secretsDirectory ?? '', name), name)));
  const withKey = (...keys: string[]) =>
    secrets.find((secret) => keys.some((key) => secret.has(key))) ?? new Map<string, string>();
  return {
    s3: await s3From(
      withKey('AWS_SECRET_ACCESS_KEY', 'awsSecretAccessKey', 'awsAnonymousCredential', 'S3_ENDPOINT'),
      env,
    ),
    gcs: gcsFrom(withKey(gcsKey), env),
    http: secrets.flatMap(httpFrom),
  };
}

/** The headers that a Secret gives for the host of `url`: only that host ever sees them. */
export function headersFor({ http }: Pick<Credentials, 'http'>, url: URL): Readonly<Record<string, string>> {
  return http.find(({ host }) => host === url.host || host === url.hostname)?.headers.reveal() ?? {};
}

/** Equal for equal credentials, and of no use to anyone who reads it. */
export function fingerprint({ s3, gcs, http }: Credentials): string {
  const revealed = [
    s3,
    s3.keys?.reveal(),
    gcs,
    gcs.key?.reveal(),
    http.map(({ host, headers }) => [host, headers.reveal()]),
  ];
  return createHash('sha256').update(JSON.stringify(revealed)).digest('hex');
}

type SecretFiles = ReadonlyMap<string, string>;
type Env = CredentialSources['env'];

const gcsKey = 'gcloud-application-credentials.json';
const settingNames = [
  'endpoint',
  'usehttps',
  'region',
  'verifyssl',
  'usevirtualbucket',
  'useaccelerate',
  'useanoncredential',
  'cabundle',
];
const secretKeys = [
  ...['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'awsAccessKeyID', 'awsSecretAccessKey'],
  ...[
    'S3_ENDPOINT',
    'AWS_ENDPOINT_URL',
    'S3_USE_HTTPS',
    'AWS_DEFAULT_REGION',
    'S3_VERIFY_SSL',
    'S3_USER_VIRTUAL_BUCKET',
  ],
  ...['S3_USE_ACCELERATE', 'awsAnonymousCredential', 'AWS_CA_BUNDLE', gcsKey, 'https-host', 'headers'],
  ...settingNames.map((name) => `serving.kserve.io/s3-${name}`),
];

async function s3From(secret: SecretFiles, env: Env): Promise<S3Credentials> {
  const setting = (annotation: string, key: string) =>
    nonEmpty(secret.get(`serving.kserve.io/s3-${annotation}`)) ?? nonEmpty(secret.get(key)) ?? nonEmpty(env[key]);
  const flag = (text: string | undefined) => (text === undefined ? undefined : /^(1|true|yes)$/i.test(text));

  const pair = [secret, new Map(Object.entries(env))].flatMap((from) => {
    const accessKeyId = nonEmpty(from.get('AWS_ACCESS_KEY_ID') ?? from.get('awsAccessKeyID'));
    const secretAccessKey = nonEmpty(from.get('AWS_SECRET_ACCESS_KEY') ?? from.get('awsSecretAccessKey'));
    const sessionToken = nonEmpty(from.get('AWS_SESSION_TOKEN'));
    if (accessKeyId === undefined || secretAccessKey === undefined) return [];
    return [new Secret({ accessKeyId, secretAccessKey, ...(sessionToken !== undefined && { sessionToken }) })];
  })[0];
  const scheme = flag(setting('usehttps', 'S3_USE_HTTPS')) === false ? 'http' : 'https';
  const endpoint =
    setting('endpoint', 'S3_ENDPOINT') ?? nonEmpty(secret.get('AWS_ENDPOINT_URL')) ?? nonEmpty(env.AWS_ENDPOINT_URL);
  const caFile = setting('cabundle', 'AWS_CA_BUNDLE');
  return {
    keys: pair,
    anonymous: flag(setting('useanoncredential', 'awsAnonymousCredential')) ?? false,
    endpoint: withScheme(endpoint, scheme),
    region: setting('region', 'AWS_DEFAULT_REGION') ?? nonEmpty(env.AWS_REGION),
    virtualBucket: flag(setting('usevirtualbucket', 'S3_USER_VIRTUAL_BUCKET')),
    accelerate: flag(setting('useaccelerate', 'S3_USE_ACCELERATE')) ?? false,
    verifyTls: flag(setting('verifyssl', 'S3_VERIFY_SSL')) ?? true,
    ca: caFile === undefined ? undefined : await readBundle(caFile),
  };
}

function gcsFrom(secret: SecretFiles, env: Env): GcsCredentials {
  const key = secret.get(gcsKey);
  return {
    key: key === undefined ? undefined : new Secret(key),
    endpoint: withScheme(nonEmpty(env.STORAGE_EMULATOR_HOST), 'http'),
  };
}

async function readBundle(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const why = `AWS_CA_BUNDLE names ${path}, which cannot be read (${systemCodeOf(error)})`;
    throw new StorageError('denied', why, { cause: error });
  }
}

function httpFrom(secret: SecretFiles): HttpCredentials[] {
  const host = nonEmpty(secret.get('https-host'))?.replace(/^https?:\/\//, '');
  if (host === undefined) return [];
  const headers: unknown = parseJson(secret.get('headers') ?? '{}');
  if (
    typeof headers !== 'object' ||
    headers === null ||
    Object.values(headers).some((value) => typeof value !== 'string')
  ) {
    throw new StorageError(
      'denied',
      `the Secret for ${host}: "headers" must be a JSON object of header names and values`,
    );
  }
  return [{ host, headers: new Secret(headers as Record<string, string>) }];
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function namesIn(directory: string | undefined): Promise<string[]> {
  if (directory === undefined) return [];
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('.'))
    .sort();
}

async function readSecret(directory: string, name: string): Promise<SecretFiles> {
  if (!/^[a-z0-9][a-z0-9.-]*$/.test(name)) throw new StorageError('denied', `"${name}" is not the name of a Secret`);
  const found = await Promise.all(
    secretKeys.map(async (key) => [key, await readFile(join(directory, key), 'utf8').catch(() => undefined)] as const),
  );
  const files = found.filter((entry): entry is [string, string] => entry[1] !== undefined);
  return new Map(files.map(([key, text]) => [key, text.trim()]));
}

function withScheme(host: string | undefined, scheme: string): string | undefined {
  return host === undefined || /^https?:\/\//.test(host) ? host : `${scheme}://${host}`;
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === undefined || text === '' ? undefined : text;
}
