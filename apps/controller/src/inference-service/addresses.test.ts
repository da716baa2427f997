import { describe, expect, it } from 'vitest';
import { exposureFor } from '../exposure/plan.ts';
import { aServiceIdentity, installation, names } from '../testing/builders.ts';
import { addressesFor } from './addresses.ts';
import { parseServiceConfig } from './service-config.ts';

const configOf = (ingress: object) => parseServiceConfig({ ingress: JSON.stringify(ingress) }).config;

const addresses = (ingress: object, change: Parameters<typeof aServiceIdentity>[0] = {}) =>
  addressesFor({ names, service: aServiceIdentity(change) }, configOf(ingress), 'example.com');

describe('addresses of a service', () => {
  it.each([
    ['the default template', {}, 'http://shared-default.example.com'],
    ['a domain and a scheme', { ingressDomain: 'ml.org', urlScheme: 'https' }, 'https://shared-default.ml.org'],
    [
      'a template with labels',
      { domainTemplate: '{{ .Name }}.{{ .Labels.team }}.{{ .IngressDomain }}' },
      'http://shared.blue.example.com',
    ],
    ['a path template', { pathTemplate: '/m/{{ .Name }}/' }, 'http://example.com/m/shared'],
    [
      'the cluster as its domain',
      { ingressDomain: 'svc.cluster.local' },
      'http://shared-predictor.default.svc.cluster.local',
    ],
  ])('follow %s', (_, ingress, url) => {
    expect(addresses(ingress, { labels: { team: 'blue' } }).url).toBe(url);
  });

  it('are hosts of the service and of its component, in every domain', () => {
    expect(addresses({ additionalIngressDomains: ['b.org'] }).hosts).toEqual([
      'shared-default.example.com',
      'shared-predictor-default.example.com',
      'shared-default.b.org',
      'shared-predictor-default.b.org',
    ]);
  });

  it.each(['networking.kserve.io/visibility', 'networking.knative.dev/visibility'])(
    'are none outside with %s: cluster-local',
    (label) => {
      expect(addresses({}, { labels: { [label]: 'cluster-local' } })).toMatchObject({ hosts: [], pathPrefixes: [] });
    },
  );

  it('say what is wrong with a host', () => {
    expect(addresses({ domainTemplate: '{{ .Labels.none }}.{{ .IngressDomain }}' })).toMatchObject({
      hosts: [],
      problem: expect.stringContaining('".example.com"'),
    });
  });

  it('name the port of the agents where Services are headless', () => {
    const { config } = parseServiceConfig({ service: '{"serviceClusterIPNone": true}' });

    expect(addressesFor({ names, service: aServiceIdentity() }, config, 'example.com').addressUrl).toBe(
      'http://shared-predictor.default.svc.cluster.local:9081',
    );
  });
});

describe('the way in', () => {
  const facts = (ingress: object) => ({
    installation,
    config: configOf(ingress),
    source: { name: 'inferenceservice-config', uid: 'u' },
    domain: 'example.com',
    hosts: ['a-default.example.com', 'b-default.example.com', 'c.blue.example.com'],
  });

  it('is one Ingress with wildcards that cover every host', () => {
    expect(exposureFor(facts({ ingressClassName: 'nginx' }))).toMatchObject({
      kind: 'Ingress',
      metadata: { namespace: 'roundhouse-system', ownerReferences: [{ kind: 'ConfigMap', uid: 'u' }] },
      spec: {
        ingressClassName: 'nginx',
        rules: ['*.example.com', '*.blue.example.com'].map((host) => ({
          host,
          http: { paths: [{ path: '/', backend: { service: { name: 'roundhouse-router' } } }] },
        })),
      },
    });
  });

  it('is one HTTPRoute at the gateway that is named', () => {
    const gateway = { enableGatewayApi: true, kserveIngressGateway: 'infra/public', pathTemplate: '/{{ .Name }}' };

    expect(exposureFor(facts(gateway))).toMatchObject({
      kind: 'HTTPRoute',
      spec: {
        parentRefs: [{ namespace: 'infra', name: 'public' }],
        hostnames: ['*.example.com', 'example.com', '*.blue.example.com'],
        rules: [{ timeouts: { request: '60s' } }],
      },
    });
  });

  it('is none where nobody asks for it', () => {
    expect(exposureFor(facts({ disableIngressCreation: true }))).toBeUndefined();
    expect(exposureFor({ ...facts({}), config: parseServiceConfig({}).config })).toBeUndefined();
  });
});
