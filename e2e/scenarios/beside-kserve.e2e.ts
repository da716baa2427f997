import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { aModel, aService } from '@roundhouse/testkit';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LocalWorld, openLocalWorld } from '../frame/local-world.ts';
import { checkout, until } from '../frame/world.ts';

/** The kinds of serving.roundhouse.dev on a cluster that has KServe's, with objects of the same names in the same namespace. */

const [theirs, ours] = ['serving.kserve.io', 'serving.roundhouse.dev'];
const main = join(checkout, 'apps/cli/dist/main.mjs');

type Manifest = { readonly apiVersion: string };
const of = <M extends Manifest>(group: string | undefined, object: M) => ({
  ...object,
  apiVersion: object.apiVersion.replace(/^[^/]*/, group ?? ''),
});

describe('beside KServe', () => {
  let world: LocalWorld;

  beforeAll(async () => {
    world = await openLocalWorld({ args: ['--api-group', String(ours)] });
    await world.kubectl(['apply', '-f', join(checkout, 'deploy/crds')]);
    await world.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
    await world.apply(of(theirs, aService('fleet')), of(theirs, aModel('one', 'fleet', world.artifact('theirs', 7))), {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'modelconfig-fleet-0' },
      data: { 'models.json': '[]' },
    });
  });
  afterAll(() => world?.close());

  const kserveObjects = () =>
    world.kubectl([
      ...['get', `inferenceservices.${theirs}/fleet`, `trainedmodels.${theirs}/one`, 'configmap/modelconfig-fleet-0'],
      ...['-o', 'jsonpath={range .items[*]}{.kind} {.metadata.resourceVersion} {.status}{"\\n"}{end}'],
    ]);
  const answerOf = async (model: string, host: string) => {
    const { statusCode, body } = await request(`${world.routerUrl}/v1/models/${model}:predict`, {
      method: 'POST',
      headers: { host, 'content-type': 'application/json' },
      body: JSON.stringify({ instances: [[1]] }),
    });
    return { statusCode, text: await body.text() };
  };

  it('serves models under hosts of its own, and leaves what KServe has', async () => {
    const before = await kserveObjects();
    // All three are there, and nobody has given any of them a status.
    expect(before).toMatch(/^InferenceService \d+ \nTrainedModel \d+ \nConfigMap \d+ \n?$/);
    await world.apply(
      of(ours, aService('fleet')),
      of(ours, aModel('one', 'fleet', world.artifact('one', 1))),
      of(ours, aModel('two', 'fleet', world.artifact('two', 2))),
    );
    await world.kubectl(['wait', '--for=condition=Ready', 'rhisvc/fleet', 'rhtm/one', 'rhtm/two', '--timeout=60s']);

    expect((await answerOf('one', 'rh-fleet-default.example.com')).text).toContain('[1]');
    expect((await answerOf('two', 'rh-fleet-default.example.com')).text).toContain('[2]');
    expect((await answerOf('one', 'fleet-default.example.com')).statusCode).toBe(404);
    expect(await kserveObjects()).toBe(before);
    expect(await world.kubectl(['get', 'pods,deployments,services', '-l', `${theirs}/inferenceservice`])).toBe('');
  });

  it('is what the command line shows', async () => {
    const roundhouse = async (...args: readonly string[]) =>
      (await promisify(execFile)(process.execPath, [main, ...args, '--data-dir', world.stack.dataDirectory])).stdout;

    expect(await roundhouse('status')).toMatch(/two +fleet +ready/);
    expect(await roundhouse('get', 'models')).toMatch(/one +http:\/\/rh-fleet-default/);
    expect(await roundhouse('logs', 'one')).toMatch(/loaded in/);
    expect(await roundhouse('predict', 'two', '--protocol', 'v1', '-d', '{"instances": [[1]]}')).toMatch(/2/);
  });

  it('says on the service when somebody else has its name for a child, and takes nothing over', async () => {
    const labels = { app: 'theirs' };
    const spec = { selector: labels, ports: [{ port: 80 }] };
    await world.apply({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'taken-rh-server' }, spec });
    await world.apply(of(ours, aService('taken')));
    const message = () =>
      world.kubectl(['get', 'rhisvc/taken', "-o=jsonpath={.status.conditions[?(@.type=='PredictorReady')].message}"]);
    await until('it says so', async () => /^Service taken-rh-server was not made by Roundhouse/.test(await message()));

    expect(await world.kubectl(['get', 'service/taken-rh-server', '-o=jsonpath={.spec.selector}'])).toBe(
      JSON.stringify(labels),
    );
    await world.kubectl(['delete', 'service/taken-rh-server', 'rhisvc/taken', '--timeout=30s']);
  });

  it('goes without a trace in what KServe has', async () => {
    const before = await kserveObjects();
    await world.kubectl(['delete', 'rhisvc/fleet', '--cascade=foreground', '--timeout=60s']);
    await until('its children are gone', async () => {
      const left = ['get', 'deployments,services,configmaps,pods', '-l', `${ours}/inferenceservice`, '-o', 'name'];
      return (await world.kubectl(left)) === '';
    });

    expect(await kserveObjects()).toBe(before);
  });
});
