import { describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { controllerNeeds } from '../../apps/controller/src/needs.ts';
import { besideGroup, namesFor } from '../../packages/crds/src/names.ts';
import { helmPath } from '../../tools/kubectl.ts';
import { renderChart } from '../generate/kustomize.ts';

const hasHelm = (await helmPath()) !== undefined;

type Rule = {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
};
type Container = {
  readonly image: string;
  readonly args?: readonly string[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly resources?: { readonly limits?: object; readonly requests?: object };
};
type PodSpec = {
  readonly containers: readonly Container[];
  readonly securityContext?: Readonly<Record<string, unknown>>;
  readonly automountServiceAccountToken?: boolean;
  readonly priorityClassName?: string;
  readonly topologySpreadConstraints?: readonly object[];
};
type Manifest = {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: { readonly template?: { readonly spec: PodSpec }; readonly replicas?: number; readonly type?: string };
  readonly rules?: readonly Rule[];
  readonly subjects?: readonly { readonly name: string }[];
};

async function render(...set: readonly string[]): Promise<readonly Manifest[]> {
  return parseAllDocuments(await renderChart(set)).flatMap((document) => (document.toJSON() as Manifest | null) ?? []);
}

const named = (objects: readonly Manifest[], kind: string, name: string) =>
  objects.find((object) => object.kind === kind && object.metadata.name === name);

describe.runIf(hasHelm)('the chart', () => {
  it.each([
    ['controller.replicas="two"', /controller\/replicas/],
    ['router.service.type="Nodeport"', /router\/service\/type/],
    ['router.service.port=0', /router\/service\/port/],
    ['image.pullPolicy="Sometimes"', /image\/pullPolicy/],
    ['controller.domain="Example_com"', /controller\/domain/],
    ['controller.resources={"requests":{"memory":"much"},"limits":{}}', /controller\/resources\/requests\/memory/],
    ['namespaces=["Not_A_Name"]', /namespaces\/0/],
    ['beside.kserve="yes"', /beside\/kserve/],
    ['beside={"kServe":true}', /kServe/],
    ['rooter={}', /rooter/],
    ['router.replicaCount=3', /replicaCount/],
  ])('refuses %s by its name', async (value, name) => {
    await expect(renderChart([value])).rejects.toThrow(name);
  });

  it('makes one way in at most, and tells the controller of it', async () => {
    const both = ['ingress.enabled=true', 'gateway.enabled=true'];
    await expect(renderChart(both)).rejects.toThrow(/ingress\.enabled and gateway\.enabled/);

    for (const [index, value] of both.entries()) {
      const objects = await render(value, 'controller.domain="ml.example.org"');
      const controller = named(objects, 'Deployment', 'roundhouse-controller')?.spec.template?.spec.containers[0];

      expect(objects.filter(({ kind }) => kind === ['Ingress', 'HTTPRoute'][index])).toHaveLength(1);
      expect(controller?.args).toContain('--exposed-hosts=*.ml.example.org');
    }
  });

  it('brings nothing that needs another system: no webhook, no certificate, no mesh', async () => {
    const kinds = new Set((await render()).map(({ kind }) => kind));

    expect(
      [...kinds].filter((kind) => /Webhook|Certificate|VirtualService|Gateway|HTTPRoute|Monitor|Ingress/.test(kind)),
    ).toEqual([]);
  });

  it('passes Pod Security "restricted", with a read-only root, requests and limits, in every pod', async () => {
    const pods = (await render()).flatMap(({ spec }) => spec?.template?.spec ?? []);

    expect(pods).toHaveLength(4);
    for (const { securityContext, containers } of pods) {
      expect(securityContext).toMatchObject({ runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
      for (const container of containers) {
        expect(container.securityContext).toEqual({
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        });
        expect(container.resources).toMatchObject({
          requests: { memory: expect.anything() },
          limits: { memory: expect.anything() },
        });
      }
    }
  });

  it('is highly available: two of each, spread, with priority and a budget for disruptions', async () => {
    const objects = await render();

    for (const part of ['controller', 'router']) {
      const deployment = named(objects, 'Deployment', `roundhouse-${part}`);
      expect(deployment?.spec.replicas).toBe(2);
      expect(deployment?.spec.template?.spec.topologySpreadConstraints).toHaveLength(2);
      expect(deployment?.spec.template?.spec.priorityClassName).toBe('roundhouse');
      expect(named(objects, 'PodDisruptionBudget', `roundhouse-${part}`)).toBeDefined();
    }
  });

  it('gives the router no permission and no token', async () => {
    const objects = await render();
    const bound = objects.flatMap(({ subjects = [] }) => subjects.map(({ name }) => name));

    expect(bound).not.toContain('roundhouse-router');
    expect(named(objects, 'Deployment', 'roundhouse-router')?.spec.template?.spec.automountServiceAccountToken).toBe(
      false,
    );
  });

  it('lets the controller read no Secret but its own', async () => {
    const rules = (await render()).flatMap(({ rules = [] }) => rules);
    const secrets = rules.filter(({ resources }) => resources.includes('secrets') || resources.includes('*'));

    expect(secrets).toEqual([
      { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
      { apiGroups: [''], resources: ['secrets'], resourceNames: ['roundhouse-ca'], verbs: ['get', 'patch'] },
    ]);
  });

  it('reaches chosen namespaces only, but for token reviews and the kinds of the cluster', async () => {
    const objects = await render('namespaces=["a","b"]');
    const rulesOf = (kind: string, name: string) => named(objects, kind, name)?.rules ?? [];
    const roles = objects.filter(({ kind, metadata }) => kind === 'Role' && metadata.name === 'roundhouse-served');

    expect(named(objects, 'ClusterRole', 'roundhouse-controller')).toBeUndefined();
    expect(rulesOf('ClusterRole', 'roundhouse-controller-cluster').flatMap(({ resources }) => resources)).toEqual([
      'clusterservingruntimes',
      'tokenreviews',
    ]);
    expect(roles.map(({ metadata }) => metadata.namespace)).toEqual(['a', 'b']);
    expect(named(objects, 'Deployment', 'roundhouse-controller')?.spec.template?.spec.containers[0]?.args).toContain(
      '--namespaces=a,b',
    );
  });

  it('brings the CRDs of its own group only where KServe stays, and KServe finds its own as they were', async () => {
    const crds = async (...set: string[]) =>
      parseAllDocuments(await renderChart(set, ['--include-crds']))
        .map((document) => document.toJSON() as Manifest | null)
        .flatMap((object) => (object?.kind === 'CustomResourceDefinition' ? object.metadata.name : []));
    const [usual, beside] = [await crds(), await crds('beside.kserve=true')];
    const kinds = ['clusterservingruntimes', 'inferenceservices', 'servingruntimes', 'trainedmodels'];

    expect(usual).toEqual(kinds.map((kind) => `${kind}.serving.kserve.io`));
    // Helm makes those of crds/ everywhere, and leaves what is there.
    expect(beside.filter((name) => !usual.includes(name))).toEqual(kinds.map((kind) => `${kind}.${besideGroup}`));
  });

  it('has nothing to do with the kinds of KServe where that stays', async () => {
    const text = await renderChart(['beside.kserve=true']);
    const objects = await render('beside.kserve=true');
    const rules = ['roundhouse-controller', 'roundhouse-controller-cluster'].flatMap(
      (name) => named(objects, 'ClusterRole', name)?.rules ?? [],
    );
    const granted = (group: string, resource: string) =>
      rules.filter((rule) => rule.apiGroups.includes(group) && rule.resources.includes(resource));
    const jobs = objects.filter(({ kind }) => kind === 'Job');

    expect(text).not.toMatch(/(?<![a-z.])serving\.kserve\.io/);
    for (const { group, resource, verbs } of controllerNeeds(namesFor(besideGroup)).filter(
      ({ scope }) => scope !== 'own',
    ))
      expect(granted(group, resource).flatMap((rule) => rule.verbs)).toEqual(expect.arrayContaining([...verbs]));
    expect(jobs.map(({ spec }) => spec.template?.spec.containers[0]?.args)).toEqual([
      ['apply-crds', `--api-group=${besideGroup}`],
      ['release-models', `--api-group=${besideGroup}`],
    ]);
  });

  it('takes all images of its own from one registry and tag', async () => {
    const text = await renderChart(['image.registry="mirror.local:5000/models"', 'image.tag="v9"']);
    const found = [...text.matchAll(/(?:image: |agent-image=)"?([^\s"]+)/g)].map(([, image]) => image ?? '');

    const foreign = /^(docker\.io\/seldonio|kserve|nvcr\.io\/nvidia)\//; // servers of others, in the runtimes that ship
    expect(new Set(found.filter((image) => !foreign.test(image)))).toEqual(
      new Set(['controller', 'router', 'agent', 'model-server'].map((app) => `mirror.local:5000/models/${app}:v9`)),
    );
  });

  it('takes TLS and credentials from Secrets', async () => {
    const router = named(
      await render('router.tlsSecret="wildcard"', 'router.authSecret="keys"', 'router.args=["--access-log=1"]'),
      'Deployment',
      'roundhouse-router',
    );
    const pod = router?.spec.template?.spec;

    expect(pod?.containers[0]?.args).toEqual(
      expect.arrayContaining([
        '--tls-cert=/var/run/roundhouse/tls/tls.crt',
        '--auth-dir=/var/run/roundhouse/auth',
        '--access-log=1',
      ]),
    );
    expect(JSON.stringify(pod)).toContain('"secretName":"wildcard"');
    expect(JSON.stringify(pod)).toContain('"secretName":"keys"');
  });

  it('adds what is asked for', async () => {
    const objects = await render(
      'serviceMonitor.enabled=true',
      'ingress={"enabled":true,"tlsSecret":"wildcard"}',
      'networkPolicies.enabled=false',
      'aggregatedRoles=false',
      'runtimes=false',
    );
    const kinds = objects.map(({ kind }) => kind);

    expect(kinds).toEqual(expect.arrayContaining(['ServiceMonitor', 'Ingress']));
    expect(kinds).not.toContain('NetworkPolicy');
    expect(kinds).not.toContain('ClusterServingRuntime');
    expect(named(objects, 'ClusterRole', 'roundhouse-view')).toBeUndefined();
  });
});
