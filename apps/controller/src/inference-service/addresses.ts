import type { Names } from '@roundhouse/crds';
import type { ServiceIdentity } from './manifests/metadata.ts';
import type { ServiceConfig } from './service-config.ts';
import { fillTemplate } from './template.ts';

/** Where clients reach a service. */
export type Addresses = {
  /** Base URL for clients outside; for a service that only the cluster sees, the one inside. */
  readonly url: string;
  /** Base URL inside the cluster. */
  readonly addressUrl: string;
  /** Base URL of the component, as KServe names it. */
  readonly componentUrl: string;
  /** All hosts that routers take for the service. */
  readonly hosts: readonly string[];
  readonly pathPrefixes: readonly string[];
  /** Whether clients outside reach it. */
  readonly exposed: boolean;
  /** Why there is no host. */
  readonly problem: string | undefined;
};

const visibility = 'networking.kserve.io/visibility';
const knativeVisibility = 'networking.knative.dev/visibility';
const clusterDomain = 'svc.cluster.local';
const dnsName = /^(?=.{1,253}$)([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)+$/;
const agentPort = 9081;

/** KServe's addresses: hosts by the domain template, a path where there is a template for it. `domain` is ours when none is configured. */
export function addressesFor(
  { names, service }: { readonly names: Names; readonly service: ServiceIdentity },
  config: ServiceConfig,
  domain: string,
): Addresses {
  const { ingress } = config;
  const { name, namespace, labels, annotations } = service;
  const ingressDomain = ingress.ingressDomain || domain;
  const fill = (template: string, as: string, within: string) =>
    fillTemplate(template, { fields: { Name: as, Namespace: namespace, IngressDomain: within }, labels, annotations });
  const hostFor = (as: string, within: string) => fill(ingress.domainTemplate || names.domainTemplate, as, within);
  const inside = config.service.serviceClusterIPNone === true ? `:${agentPort}` : '';
  const addressUrl = `http://${names.predictor(name)}.${namespace}.${clusterDomain}${inside}`;
  const isLocal = [visibility, knativeVisibility].some((label) => labels[label] === 'cluster-local');
  if (isLocal || ingressDomain === clusterDomain) {
    const nowhere = { hosts: [], pathPrefixes: [], exposed: false, problem: undefined };
    return { url: addressUrl, addressUrl, componentUrl: addressUrl, ...nowhere };
  }
  const scheme = ingress.urlScheme || 'http';
  const domains = [ingressDomain, ...(ingress.additionalIngressDomains ?? [])];
  const hosts = domains.flatMap((within) => [hostFor(name, within), hostFor(`${name}-predictor`, within)]);
  const [host = '', componentHost = ''] = hosts;
  const invalid = hosts.find((each) => !dnsName.test(each));
  const path = ingress.pathTemplate && fill(ingress.pathTemplate, name, ingressDomain).replace(/\/+$/, '');
  return {
    url: path ? `${scheme}://${ingressDomain}${path}` : `${scheme}://${host}`,
    addressUrl,
    componentUrl: `${scheme}://${componentHost}`,
    hosts: invalid === undefined ? [...new Set(hosts)] : [],
    pathPrefixes: [path || `/serving/${namespace}/${name}`],
    exposed: invalid === undefined,
    problem: invalid === undefined ? undefined : `the host "${invalid}" is not a full DNS name: see domainTemplate`,
  };
}
