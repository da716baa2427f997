import type { Clock } from '@roundhouse/base';
import { type Cluster, controlHost, type Installation, resources, type Stored } from './cluster.ts';
import { areCurrent, type Certificates, issueCertificates } from './tls.ts';

const name = 'roundhouse-ca';

export type Deps = { readonly cluster: Cluster; readonly clock: Clock; readonly installation: Installation };

function hostsOf(installation: Installation): readonly string[] {
  const host = controlHost(installation);
  return [host, `${host}.cluster.local`];
}

/** The certificates of the control port, kept in a Secret, and copies of the CA's certificate where they are needed. */
export async function openCertificates(deps: Deps, signal: AbortSignal) {
  const { cluster, clock } = deps;
  const hosts = hostsOf(deps.installation);
  let current = await load(deps, signal);

  return {
    current: () => ({ cert: current.certificate, key: current.key }),

    /** Renews what nears its end; to be asked now and then. */
    async renew(signal: AbortSignal) {
      if (!areCurrent(current, hosts, clock)) current = await load(deps, signal);
    },

    /** Puts the CA's certificate into a namespace whose pods connect to us. */
    async publish(namespace: string, signal: AbortSignal) {
      const data = { 'ca.crt': current.caCertificate };
      const stored = await cluster.get(resources.configMaps, namespace, name, signal);
      if ((stored?.data as typeof data | undefined)?.['ca.crt'] === data['ca.crt']) return;
      const object = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data };
      if (stored === undefined) await cluster.create(resources.configMaps, object, signal);
      else await cluster.patch(resources.configMaps, { namespace, name }, { data }, signal);
    },
  };
}

async function load({ cluster, clock, installation }: Deps, signal: AbortSignal) {
  const hosts = hostsOf(installation);
  const { namespace } = installation;
  const stored = await cluster.get(resources.secrets, namespace, name, signal);
  const before = stored && certificatesIn(stored);
  if (before !== undefined && areCurrent(before, hosts, clock)) return before;
  const issued = await issueCertificates(before, hosts, clock);
  const data = {
    'ca.crt': encode(issued.caCertificate),
    'ca.key': encode(issued.caKey),
    'tls.crt': encode(issued.certificate),
    'tls.key': encode(issued.key),
  };
  const metadata = { name, namespace };
  if (stored === undefined)
    await cluster.create(resources.secrets, { apiVersion: 'v1', kind: 'Secret', metadata, data }, signal);
  else await cluster.patch(resources.secrets, metadata, { data }, signal);
  return issued;
}

function certificatesIn({ data }: Stored): Certificates {
  const texts = (data ?? {}) as Readonly<Record<string, string>>;
  const decode = (key: string) => Buffer.from(texts[key] ?? '', 'base64').toString();
  return {
    caCertificate: decode('ca.crt'),
    caKey: decode('ca.key'),
    certificate: decode('tls.crt'),
    key: decode('tls.key'),
  };
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64');
}
