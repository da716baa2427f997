import { describe, expect, it } from 'vitest';
import { parseServiceConfig } from '../inference-service/service-config.ts';
import { installation } from '../testing/builders.ts';
import { exposureFor } from './plan.ts';

describe('exposureFor', () => {
  const hostsOf = (ingress: object, exposedHosts: readonly string[] = []) => {
    const child = exposureFor({
      installation: { ...installation, exposedHosts },
      config: parseServiceConfig({ ingress: JSON.stringify(ingress) }).config,
      source: { name: 'inferenceservice-config', uid: '1' },
      domain: 'models.example.com',
      hosts: ['iris-default.models.example.com'],
    });
    const spec = child?.spec as undefined | { readonly rules?: readonly { readonly host: string }[] };
    return spec?.rules?.map(({ host }) => host);
  };
  const chart = ['*.models.example.com'];

  it('makes nothing for hosts that the chart leads to the routers', () => {
    expect(hostsOf({})).toEqual(chart);
    expect(hostsOf({}, chart)).toBeUndefined();
  });

  it('leads all other hosts', () => {
    expect(hostsOf({ additionalIngressDomains: ['ml.org'], pathTemplate: '/x/{{ .Name }}' }, chart)).toEqual([
      '*.ml.org',
      'models.example.com',
    ]);
    expect(hostsOf({ ingressDomain: 'ml.org' }, ['*.else.org'])).toContain('*.ml.org');
  });
});
