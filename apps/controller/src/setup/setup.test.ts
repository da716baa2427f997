import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, systemRandom } from '@roundhouse/base';
import { besideGroup, customResourceDefinitions, namesFor } from '@roundhouse/crds';
import { createApi, kubeconfigFor, openStore, serveApi } from '@roundhouse/local-cluster';
import { afterEach, describe, expect, it } from 'vitest';
import { resources } from '../cluster.ts';
import { parseConfig } from '../config.ts';
import { names } from '../testing/builders.ts';
import { installKinds } from '../testing/embedded.ts';
import type { SetupCommand } from './commands.ts';
import { runSetup } from './setup.ts';

const deps = { clock: systemClock, random: systemRandom };
const forever = new AbortController().signal;
const definitions = { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' };
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** An API server, and the commands as a Job of the chart would run them on it. */
async function start() {
  const directory = await mkdtemp(join(tmpdir(), 'roundhouse-setup-'));
  const api = createApi({ ...deps, store: openStore({ file: ':memory:' }) });
  const served = await serveApi({ api, clock: systemClock, adminToken: 'admin', port: 0 });
  const kubeconfig = join(directory, 'kubeconfig');
  await writeFile(kubeconfig, kubeconfigFor({ url: served.url, ca: served.ca, token: 'admin' }));
  closers.push(async () => {
    await served.close();
    api.close();
    await rm(directory, { recursive: true });
  });
  const run = async (command: SetupCommand, ...flags: readonly string[]) => {
    const { config, problems } = parseConfig({ KUBECONFIG: kubeconfig }, flags);
    if (config === undefined) throw new Error(problems.join('\n'));
    return runSetup(deps, command, config, forever);
  };
  return { api, run };
}

describe('release-models', () => {
  it('stops the controller, then takes its finalizer off the models and leaves those of others', async () => {
    const { api, run } = await start();
    installKinds(api);
    const model = { storageUri: 's3://bucket/iris', framework: 'onnx', memory: '1Mi' };
    const finalizers = ['example.com/theirs', names.finalizer];
    api.create(names.trainedModels, {
      apiVersion: 'serving.kserve.io/v1alpha1',
      kind: 'TrainedModel',
      metadata: { name: 'iris', namespace: 'default', finalizers },
      spec: { inferenceService: 'shared', model },
    });
    const spec = {
      replicas: 2,
      selector: { matchLabels: { app: 'c' } },
      template: { metadata: { labels: { app: 'c' } } },
    };
    api.create(resources.deployments, {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'roundhouse-controller', namespace: 'roundhouse-system' },
      spec: { ...spec, template: { ...spec.template, spec: { containers: [{ name: 'c', image: 'i' }] } } },
    });
    const lines = await run('release-models');

    expect(lines).toEqual(['the finalizer is taken off 1 TrainedModels']);
    expect(api.get(names.trainedModels, 'default', 'iris')?.metadata.finalizers).toEqual(['example.com/theirs']);
    expect(api.get(resources.deployments, 'roundhouse-system', 'roundhouse-controller')?.spec).toMatchObject({
      replicas: 0,
    });
  });

  it("leaves KServe's models where KServe stays", async () => {
    const { api, run } = await start();
    installKinds(api);
    const beside = namesFor(besideGroup);
    for (const definition of customResourceDefinitions(beside)) api.create(definitions, definition);
    const model = { storageUri: 's3://bucket/iris', framework: 'onnx', memory: '1Mi' };
    for (const { trainedModels, finalizer } of [names, beside])
      api.create(trainedModels, {
        apiVersion: `${trainedModels.group}/v1alpha1`,
        kind: 'TrainedModel',
        metadata: { name: 'iris', namespace: 'default', finalizers: [finalizer] },
        spec: { inferenceService: 'shared', model },
      });
    const lines = await run('release-models', `--api-group=${besideGroup}`);

    expect(lines).toEqual(['the finalizer is taken off 1 TrainedModels']);
    expect(api.get(names.trainedModels, 'default', 'iris')?.metadata.finalizers).toEqual([names.finalizer]);
    expect(api.get(beside.trainedModels, 'default', 'iris')?.metadata.finalizers ?? []).toEqual([]);
  });

  it('keeps to the namespaces that are served', async () => {
    const { api, run } = await start();
    installKinds(api);

    expect(await run('release-models', '--namespaces=a,b')).toEqual(['the finalizer is taken off 0 TrainedModels']);
  });
});
