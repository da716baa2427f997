import type { Clock } from '@roundhouse/base';
import { type Cluster, controlHost, type Installation, resources, type Stored } from './cluster.ts';
import type { Need } from './need.ts';
import { type Certificates, renewed, trusted } from './tls.ts';

const name = 'roundhouse-ca';

export type Deps = { readonly cluster: Cluster; readonly clock: Clock; readonly installation: Installation };

function hostsOf(installation: Installation): readonly string[] {
  const host = controlHost(installation);
  return [host, `${host}.cluster.local`];
}

const secret = { scope: 'own', group: '', resource: 'secrets' } as const;
const copies = { group: '', resource: 'configmaps', verbs: ['get', 'create', 'patch'] } as const;
export const certificateNeeds: readonly Need[] = [
  { ...secret, verbs: ['create'], why: 'keeps its certificate authority' },
  { ...secret, verbs: ['get', 'patch'], names: [name], why: 'its certificate authority; it reads no other Secret' },
  { ...copies, scope: 'own', why: 'its certificate, for routers' },
  { ...copies, scope: 'served', why: 'its certificate, for agents' },
];

/** The certificates of the control port, kept in a Secret, and copies of what to trust where it is needed. */
export async function openCertificates(deps: Deps, signal: AbortSignal) {
  const { cluster, clock } = deps;
  let current = await load(deps, signal);
  /** What each namespace was given last. */
  const published = new Map<string, string | undefined>();

  return {
    current: () => ({ cert: current.certificate, key: current.key }),

    /** Takes the next step of what nears its end; to be asked now and then. Everything is to be published again afterwards. */
    async renew(signal: AbortSignal) {
      current = await load(deps, signal);
      for (const namespace of published.keys()) published.set(namespace, undefined);
    },

    /** Namespaces that have been published to. */
    namespaces: () => [...published.keys()],

    /** Puts what to trust into a namespace whose pods connect to us. */
    async publish(namespace: string, signal: AbortSignal) {
      const bundle = trusted(current, clock);
      if (published.get(namespace) === bundle) return;
      const data = { 'ca.crt': bundle };
      const stored = await cluster.get(resources.configMaps, namespace, name, signal);
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
      if (stored === undefined) await cluster.create(resources.configMaps, object, signal);
      else if ((stored.data as typeof data | undefined)?.['ca.crt'] !== bundle)
        await cluster.patch(resources.configMaps, { namespace, name }, { data }, signal);
      published.set(namespace, bundle);
    },
  };
}

async function load({ cluster, clock, installation }: Deps, signal: AbortSignal) {
  const { namespace } = installation;
  const stored = await cluster.get(resources.secrets, namespace, name, signal);
  const before = stored && certificatesIn(stored);
  const after = await renewed(before, hostsOf(installation), clock);
  if (after === before) return after;
  const data = dataOf(after);
  if (stored === undefined) {
    const given = Object.fromEntries(Object.entries(data).filter(([, text]) => text !== null));
    const metadata = { name, namespace };
    await cluster.create(resources.secrets, { apiVersion: 'v1', kind: 'Secret', metadata, data: given }, signal);
  } else {
    // A leader that does not know yet that it is none must not undo what the next one did.
    const metadata = { resourceVersion: stored.metadata.resourceVersion };
    await cluster.patch(resources.secrets, { name, namespace }, { metadata, data }, signal);
  }
  return after;
}

const files: Readonly<Record<keyof Certificates, string>> = {
  caCertificate: 'ca.crt',
  caKey: 'ca.key',
  certificate: 'tls.crt',
  key: 'tls.key',
  nextCaCertificate: 'ca-next.crt',
  nextCaKey: 'ca-next.key',
  previousCaCertificate: 'ca-previous.crt',
};

function certificatesIn({ data }: Stored): Certificates {
  const texts = (data ?? {}) as Readonly<Record<string, string>>;
  const decode = (file: string) => Buffer.from(texts[file] ?? '', 'base64').toString();
  return Object.fromEntries(Object.entries(files).map(([field, file]) => [field, decode(file)])) as Certificates;
}

/** What is empty is taken away. */
function dataOf(certificates: Certificates): Readonly<Record<string, string | null>> {
  const encode = (text: string) => (text === '' ? null : Buffer.from(text).toString('base64'));
  return Object.fromEntries(
    Object.entries(files).map(([field, file]) => [file, encode(certificates[field as keyof Certificates])]),
  );
}
