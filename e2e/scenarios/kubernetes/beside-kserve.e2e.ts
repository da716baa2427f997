import { aModel, aService } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installChart, readInstalled, removeChart, systemNamespace } from '../../frame/installation.ts';
import { openWorld } from '../../frame/open-world.ts';
import { until, type World } from '../../frame/world.ts';

/** The chart on a cluster where KServe stays: with its kinds, with objects of the same names, and with its webhooks, which are in nobody's way. */

const [theirs, ours] = ['serving.kserve.io', 'serving.roundhouse.dev'];
const kinds = ['inferenceservices', 'trainedmodels', 'servingruntimes', 'clusterservingruntimes'];
const set = ['beside.kserve=true'];

type Manifest = { readonly apiVersion: string };
const ofOurs = <M extends Manifest>(object: M) => ({
  ...object,
  apiVersion: object.apiVersion.replace(/^[^/]*/, ours),
});

/** KServe's webhook for pods, with its selector; nobody answers it, so that whatever it selects is refused. */
const podWebhook = {
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'MutatingWebhookConfiguration',
  metadata: { name: 'inferenceservice.serving.kserve.io' },
  webhooks: [
    {
      name: 'inferenceservice.kserve-webhook-server.pod-mutator',
      admissionReviewVersions: ['v1'],
      sideEffects: 'None',
      failurePolicy: 'Fail',
      clientConfig: { service: { namespace: 'kserve', name: 'kserve-webhook-server-service', path: '/mutate-pods' } },
      objectSelector: { matchExpressions: [{ key: `${theirs}/inferenceservice`, operator: 'Exists' }] },
      rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }],
    },
  ],
};

describe('the chart beside KServe', () => {
  const installed = readInstalled();
  let world: World;
  let before: string;

  beforeAll(async () => {
    world = await openWorld();
    await removeChart(installed.kubeconfig);
    // Nobody takes them up while Roundhouse is away; what is served beside them never does.
    await world.apply(podWebhook, aService('fleet'), aModel('one', 'fleet', world.artifact('theirs', 7)));
    before = await kserveObjects();
    await installChart({ ...installed, set });
  });
  afterAll(async () => {
    await removeChart(installed.kubeconfig);
    await world.kubectl(['delete', 'rhisvc,rhtm', '--all', '--timeout=60s']);
    await world.kubectl(['delete', 'crd', ...kinds.map((kind) => `${kind}.${ours}`), '--timeout=60s']);
    await world.kubectl(['delete', 'mutatingwebhookconfigurations', podWebhook.metadata.name]);
    await installChart(installed);
    await world.close();
  });

  const kserveObjects = () =>
    world.kubectl([
      ...['get', `inferenceservices.${theirs}/fleet`, `trainedmodels.${theirs}/one`, '-o'],
      'jsonpath={range .items[*]}{.metadata.uid} {.metadata.resourceVersion} {.status} {end}',
    ]);
  const answers = (model: string, value: number) =>
    until(
      `${model} answers`,
      async () => (await world.predict('rh-fleet', model).catch(() => undefined))?.value === value,
      30_000,
    );
  const pods = () =>
    world.kubectl(['get', 'pods', '-l', `${ours}/inferenceservice=fleet`, '-o', 'jsonpath={.items[*].metadata.uid}']);

  it('serves models of its own group, and leaves what KServe has', async () => {
    await world.apply(
      ofOurs(aService('fleet')),
      ofOurs(aModel('one', 'fleet', world.artifact('one', 1))),
      ofOurs(aModel('two', 'fleet', world.artifact('two', 2))),
    );
    await world.kubectl(['wait', '--for=condition=Ready', 'rhisvc/fleet', 'rhtm/one', 'rhtm/two', '--timeout=90s']);
    await answers('one', 1);
    await answers('two', 2);

    expect((await world.predict('fleet', 'one')).status).toBe(404);
    expect(await kserveObjects()).toBe(before);
  });

  it('upgrades with a Job for its own CRDs, and no pod changes', async () => {
    const running = await pods();
    await installChart({ ...installed, set: [...set, 'controller.logLevel=debug'] });
    await answers('one', 1);

    expect(await pods()).toBe(running);
    expect(await kserveObjects()).toBe(before);
  });

  it('refuses to go over to the other group while it serves one', async () => {
    await expect(installChart(installed)).rejects.toThrow(/beside\.kserve is chosen when installing/);
    expect((await world.predict('rh-fleet', 'one')).value).toBe(1);
  });

  it.each(['get', 'list', 'patch', 'update'])("its controller may not %s KServe's kinds", async (verb) => {
    const account = `system:serviceaccount:${systemNamespace}:roundhouse-controller`;
    const may = async (group: string) => {
      const args = ['auth', 'can-i', verb, `trainedmodels.${group}`, `--as=${account}`];
      // "no" is an exit status of 1 as well.
      return (await world.kubectl(args).catch((error: { stdout?: string }) => error.stdout ?? String(error))).trim();
    };

    expect(await may(theirs)).toBe('no');
  });

  it('is removed without a trace in what KServe has, and lets its models go', async () => {
    await removeChart(installed.kubeconfig);
    const finalizers = await world.kubectl(['get', 'rhtm', '-o', 'jsonpath={.items[*].metadata.finalizers}']);
    await world.kubectl(['delete', 'rhtm/two', '--timeout=10s']);
    await installChart({ ...installed, set });
    await answers('one', 1);

    expect(finalizers).toBe('');
    expect(await kserveObjects()).toBe(before);
  });
});
