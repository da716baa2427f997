import { describe, expect, it } from 'vitest';
import { aRuntime, aServiceIdentity, installation, names, noStorage } from '../testing/builders.ts';
import { deploymentOf } from '../testing/world.ts';
import { planInferenceService } from './plan.ts';
import { parseServiceConfig } from './service-config.ts';

/** As KServe ships it, with the parts that we do not have. */
const shipped = {
  _example: 'many words',
  agent: JSON.stringify({
    image: 'kserve/agent:latest',
    memoryRequest: '100Mi',
    memoryLimit: '1Gi',
    cpuRequest: '100m',
    cpuLimit: '1',
  }),
  ingress: JSON.stringify({
    enableGatewayApi: false,
    kserveIngressGateway: 'kserve/kserve-ingress-gateway',
    ingressGateway: 'knative-serving/knative-ingress-gateway',
    ingressDomain: 'example.com',
    additionalIngressDomains: ['b.org'],
    ingressClassName: 'istio',
    domainTemplate: '{{ .Name }}-{{ .Namespace }}.{{ .IngressDomain }}',
    urlScheme: 'http',
    disableIstioVirtualHost: false,
    disableIngressCreation: false,
  }),
  deploy: JSON.stringify({ defaultDeploymentMode: 'Serverless' }),
  metricsAggregator: JSON.stringify({ enableMetricAggregation: 'false', enablePrometheusScraping: 'false' }),
  localModel: '{ "enabled": false }',
};

const planned = (data: Readonly<Record<string, string>>, predictor: object, runtime = aRuntime()) =>
  planInferenceService({
    names,
    service: aServiceIdentity({ annotations: { 'a.org/note': 'x' } }),
    spec: { predictor },
    runtimes: [runtime],
    config: parseServiceConfig(data).config,
    storage: noStorage,
    fileRoots: [],
    installation,
  });

const rendered = (data: Readonly<Record<string, string>>, predictor: object = { onnx: {} }) =>
  deploymentOf(planned(data, predictor));

describe('inferenceservice-config', () => {
  it('is read as KServe ships it', () => {
    expect(parseServiceConfig(shipped).problems).toEqual([]);
    expect(parseServiceConfig(undefined)).toMatchObject({ problems: [], config: { exposes: false } });
  });

  it.each([
    ['agent', '{', /^agent: not JSON/],
    ['agent', '[]', /^agent: /],
    ['agent', '{"cpuLimit": "much"}', /^agent: cpuLimit is not a quantity/],
    ['ingress', '{"urlScheme": "ftp"}', /^ingress: urlScheme /],
    ['ingress', '{"domainTemplate": "{{ printf .Name }}"}', /^ingress: domainTemplate .*not understood/],
    ['ingress', '{"kserveIngressGateway": "gateway"}', /^ingress: kserveIngressGateway must be namespace\/name/],
    ['autoscaler', '{"scaleUpStabilizationWindowSeconds": "soon"}', /^autoscaler: /],
  ])('tells of a broken key: %s = %s', (key, value, message) => {
    const { problems, config } = parseServiceConfig({ ...shipped, [key]: value });

    expect(problems).toEqual([expect.stringMatching(message)]);
    expect(config[key as 'agent']).toEqual({});
  });

  it('sets what the agent takes, where S3 is, and how Deployments roll', () => {
    const { spec } = rendered({
      agent: '{"memoryLimit": "2Gi"}',
      credentials: '{"s3": {"s3Endpoint": "minio:9000", "s3UseHttps": "0"}}',
      deploy: '{"deploymentRolloutStrategy": {"defaultRollout": {"maxSurge": "1", "maxUnavailable": "0"}}}',
      security: '{"autoMountServiceAccountToken": true}',
    });
    const agent = spec.template.spec.containers.find(({ name }) => name === 'agent');

    expect(agent?.resources?.limits).toEqual({ cpu: '1', memory: '2Gi' });
    expect(agent?.env).toEqual(
      expect.arrayContaining([
        { name: 'S3_ENDPOINT', value: 'minio:9000' },
        { name: 'S3_USE_HTTPS', value: '0' },
      ]),
    );
    expect(spec).toMatchObject({ strategy: { rollingUpdate: { maxSurge: '1', maxUnavailable: '0' } } });
    expect(spec.template.spec.automountServiceAccountToken).toBe(true);
  });

  it.each([
    ['of a framework', { tensorflow: { multiModelServer: true } }, 'apply'],
    ['of a protocol', { tensorflow: { v2: { image: 'i', multiModelServer: true } } }, 'apply'],
    ['of another framework', { sklearn: { multiModelServer: true } }, 'blocked'],
    ['that says no', { tensorflow: { multiModelServer: false } }, 'blocked'],
  ])('takes an old multiModelServer setting %s for what it says', (_, predictors, kind) => {
    const supportedModelFormats = [{ name: 'tensorflow', autoSelect: true }];
    const spec = { ...aRuntime().spec, multiModel: false, supportedModelFormats };
    const runtime = aRuntime({ name: 'tensorflow-serving', annotations: {}, spec });

    expect(planned({ predictors: JSON.stringify(predictors) }, { tensorflow: {} }, runtime).kind).toBe(kind);
  });

  it('says which annotations are not handed on, and what custom containers get', () => {
    const env = [{ name: 'MULTI_MODEL_SERVER', value: 'true' }];
    const data = {
      inferenceService: JSON.stringify({
        resource: { cpuLimit: '2', cpuRequest: '500m', memoryLimit: '3Gi', memoryRequest: '1Gi' },
        serviceAnnotationDisallowedList: ['a.org/note'],
      }),
    };
    const { spec } = rendered(data, {
      containers: [{ name: 'own', image: 'i:1', env, ports: [{ containerPort: 7000 }] }],
    });
    const [server, agent] = spec.template.spec.containers;

    expect(spec.template.metadata.annotations).toEqual({});
    expect(rendered({}).spec.template.metadata.annotations).toEqual({ 'a.org/note': 'x' });
    expect(server).toMatchObject({
      name: 'own',
      resources: { limits: { cpu: '2', memory: '3Gi' }, requests: { cpu: '500m', memory: '1Gi' } },
      readinessProbe: { tcpSocket: { port: 7000 } },
    });
    expect(agent?.args).toEqual(expect.arrayContaining(['--component-port', '7000']));
  });
});
