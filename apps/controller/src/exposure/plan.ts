import type { Installation } from '../cluster.ts';
import type { Child } from '../inference-service/children.ts';
import type { ServiceConfig } from '../inference-service/service-config.ts';

/** What the way from outside to the routers depends on. */
export type Facts = {
  readonly installation: Installation;
  readonly config: ServiceConfig;
  /** The ConfigMap that asks for it; what we make is its own. */
  readonly source: { readonly name: string; readonly uid: string };
  /** Where no domain is configured. */
  readonly domain: string;
  /** Of all services that clients outside reach. */
  readonly hosts: Iterable<string>;
};

const name = 'roundhouse';
const routerService = 'roundhouse-router';
/** The chart's port by name, and by number where only that will do. */
const routerPort = { name: 'http', number: 80 };

/** The Gateway API takes so many in one HTTPRoute. */
const hostnamesMax = 16;

/**
 * One Ingress or one HTTPRoute that leads every host of every service to the routers, which tell the services apart: a new
 * service changes nothing. Hosts that lead there already are left out, so that there are never two ways for one. Undefined when none is
 * wanted.
 */
export function exposureFor(facts: Facts): Child | undefined {
  const { config, installation, source } = facts;
  const { ingress, exposes } = config;
  if (!exposes || ingress.disableIngressCreation === true) return undefined;
  const metadata = {
    name,
    namespace: installation.namespace,
    labels: { 'app.kubernetes.io/managed-by': 'roundhouse' },
    ownerReferences: [{ apiVersion: 'v1', kind: 'ConfigMap', ...source, controller: true }],
  };
  const hosts = wildcardsFor(facts).filter((host) => !installation.exposedHosts.includes(host));
  if (hosts.length === 0) return undefined;
  return ingress.enableGatewayApi === true
    ? { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'HTTPRoute', metadata, spec: httpRouteSpecFor(config, hosts) }
    : { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata, spec: ingressSpecFor(config, hosts) };
}

/** Wildcards that cover all hosts, and the bare domain where services have paths below it. */
function wildcardsFor({ config: { ingress }, domain, hosts }: Facts): readonly string[] {
  const main = ingress.ingressDomain || domain;
  const domains = [main, ...(ingress.additionalIngressDomains ?? [])];
  const covered = [...hosts].map((host) => host.replace(/^[^.]+/, '*'));
  const bare = ingress.pathTemplate ? [main] : [];
  return [...new Set([...domains.map((each) => `*.${each}`), ...bare, ...covered.sort()])];
}

function ingressSpecFor({ ingress }: ServiceConfig, hosts: readonly string[]) {
  const backend = { service: { name: routerService, port: { name: routerPort.name } } };
  return {
    ...(ingress.ingressClassName ? { ingressClassName: ingress.ingressClassName } : {}),
    rules: hosts.map((host) => ({ host, http: { paths: [{ path: '/', pathType: 'Prefix', backend }] } })),
  };
}

function httpRouteSpecFor({ ingress }: ServiceConfig, hosts: readonly string[]) {
  const [gatewayNamespace, gateway] = (ingress.kserveIngressGateway ?? 'kserve/kserve-ingress-gateway').split('/');
  return {
    parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', namespace: gatewayNamespace, name: gateway }],
    hostnames: hosts.slice(0, hostnamesMax),
    rules: [
      {
        matches: [{ path: { type: 'PathPrefix', value: '/' } }],
        backendRefs: [{ group: '', kind: 'Service', name: routerService, port: routerPort.number }],
        ...(ingress.disableHTTPRouteTimeout === true ? {} : { timeouts: { request: '60s' } }),
      },
    ],
  };
}
