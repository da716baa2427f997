import { aModel, aService, type LoadTarget, startLoad } from '@roundhouse/testkit';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld } from '../frame/open-world.ts';
import { type Condition, until, type World } from '../frame/world.ts';

/** Mistakes: refused at once where that can be known, else told truthfully, and never to the harm of other models. */

const host = 'fleet-default.example.com';

describe('bad input', () => {
  let world: World;
  const targets: LoadTarget[] = [{ model: 'good', host, expected: 7 }];

  beforeAll(async () => {
    world = await openWorld();
    await world.apply(aService('fleet'), aModel('good', 'fleet', world.artifact('good', 7)));
    await world.kubectl(['wait', '--for=condition=Ready', 'tm/good', '--timeout=20s']);
  });
  afterAll(() => world?.close());

  it.each([
    ['a name that is none', aModel('Not_A_Name', 'fleet', 'file:///m'), /metadata\.name|Invalid value/],
    ['an unknown scheme', aModel('a', 'fleet', 'ftp://host/model'), /storageUri/],
    ['memory that is no quantity', aModel('a', 'fleet', 'file:///m', 'much'), /memory/],
    ['memory that is not positive', aModel('a', 'fleet', 'file:///m', '-1Mi'), /memory/],
    ['no memory at all', aModel('a', 'fleet', 'file:///m', '0'), /memory/],
  ])('%s is refused at apply, with the field named', async (_, object, field) => {
    await expect(world.apply(object)).rejects.toThrow(field);
  });

  it('a changed immutable field is refused, with the field named', async () => {
    const change = JSON.stringify({ spec: { model: { memory: '2Mi' } } });

    await expect(world.kubectl(['patch', 'tm', 'good', '--type=merge', '-p', change])).rejects.toThrow(/memory/);
  });

  it.each<[string, () => readonly unknown[], string, RegExp, RegExp]>([
    [
      'a missing parent',
      () => [aModel('orphan', 'nowhere', world.artifact('orphan', 1))],
      'orphan',
      /InferenceServiceNotFound/,
      /nowhere/,
    ],
    [
      'a parent that is not multi-model',
      () => [
        aService('single', {
          model: {
            modelFormat: { name: 'xgboost' },
            runtime: 'roundhouse-model-server',
            storageUri: world.artifact('one', 1),
          },
        }),
        aModel('lodger', 'single', world.artifact('lodger', 1)),
      ],
      'lodger',
      /NotMultiModel|IsNotMMSPredictor/,
      /single/,
    ],
    [
      'a framework that the runtime does not serve',
      () => [aModel('torch', 'fleet', world.artifact('torch', 1), '1Mi', 'pytorch')],
      'torch',
      /Framework/,
      /pytorch/,
    ],
    [
      'empty storage',
      () => [aModel('empty', 'fleet', 'file:///var/empty-of-models')],
      'empty',
      /Download|NotFound|Refused|Denied/,
      /file:\/\/|root|exist/,
    ],
    [
      'storage that cannot be reached',
      () => [aModel('away', 'fleet', 'http://127.0.0.1:9/model.json')],
      'away',
      /Download|Unavailable/,
      /127\.0\.0\.1:9/,
    ],
    [
      'a corrupt artifact',
      () => [aModel('corrupt', 'fleet', world.artifact('corrupt', 'corrupt'))],
      'corrupt',
      /Load|Invalid/,
      /corrupt|JSON|parse|model/i,
    ],
  ])(
    '%s: not Ready, with a reason, a message and an Event, while others answer',
    async (_, objects, name, reason, message) => {
      const load = startLoad(world.routerUrl, () => targets, 2);
      await world.apply(...objects());
      await until(`a reason for ${name}`, async () => {
        const condition = await readyCondition(name);
        const told = reason.test(condition?.reason ?? '') && message.test(condition?.message ?? '');
        return condition?.status === 'False' && told ? condition : undefined;
      });
      await until(
        `an event of ${name}`,
        async () =>
          (await world.kubectl(['get', 'events', '--field-selector', `involvedObject.name=${name}`, '-o', 'name'])) !==
          '',
      );
      const { failures, wrong } = await load.stop();

      expect({ failures, wrong }).toEqual({ failures: [], wrong: [] });
      await world.kubectl(['delete', 'tm', name, '--timeout=20s']);
    },
  );

  it('a host that another service has stays with the older one, and the other says so', async () => {
    const inNamespace = (namespace: string, object: { metadata: object }) => ({
      ...object,
      metadata: { ...object.metadata, namespace },
    });
    await world.kubectl(['create', 'namespace', 'b-c']);
    await world.kubectl(['create', 'namespace', 'c']);
    await world.apply(inNamespace('b-c', aService('a')));
    await world.kubectl(['wait', '-n', 'b-c', '--for=condition=Ready', 'isvc/a', '--timeout=20s']);
    await world.apply(inNamespace('c', aService('a-b')));
    const conflict = await until('the younger one says so', async () => {
      const path = '/apis/serving.kserve.io/v1beta1/namespaces/c/inferenceservices/a-b';
      const { status } = await world.api.get<{ status?: { conditions?: readonly Condition[] } }>(path);
      return status?.conditions?.find(({ reason }) => reason === 'HostConflict');
    });

    expect(conflict.message).toContain('b-c/a');
    expect(await world.kubectl(['get', 'isvc', '-n', 'b-c', 'a', '-o', 'jsonpath={.status.url}'])).toBe(
      'http://a-b-c.example.com',
    );
    await world.kubectl(['delete', 'namespace', 'b-c', 'c', '--timeout=30s']);
  });

  it('a model that does not fit waits, and is admitted when another goes', async () => {
    const limits = { resources: { limits: { memory: '1Gi' } } };
    const model = { modelFormat: { name: 'xgboost' }, runtime: 'roundhouse-model-server', ...limits };
    await world.apply(aService('small', { model }), aModel('big', 'small', world.artifact('big', 1), '700Mi'));
    await world.kubectl(['wait', '--for=condition=Ready', 'tm/big', '--timeout=20s']);
    await world.apply(aModel('second', 'small', world.artifact('second', 2), '700Mi'));
    const full = await until('the second waits', async () => {
      const condition = await readyCondition('second');
      return condition?.status === 'False' && /Memory|Full/.test(condition.reason ?? '') ? condition : undefined;
    });
    await world.kubectl(['delete', 'tm', 'big', '--timeout=20s']);
    await world.kubectl(['wait', '--for=condition=Ready', 'tm/second', '--timeout=20s']);

    expect(full.message).toMatch(/700Mi/);
    expect(await world.predict('small', 'second')).toMatchObject({ status: 200, value: 2 });
  });

  it('unknown models and hosts are a 404 in the protocol’s form, malformed JSON a 400, the repository API a 404', async () => {
    const ask = async (path: string, headers: Record<string, string>, body?: string) => {
      const response = await request(`${world.routerUrl}${path}`, {
        method: 'POST',
        headers,
        body: body ?? '{}',
      });
      return { status: response.statusCode, body: (await response.body.json()) as { error?: string } };
    };
    const json = { 'content-type': 'application/json' };

    for (const path of ['/v2/models/nobody/infer', '/v1/models/nobody:predict']) {
      expect(await ask(path, { host, ...json })).toMatchObject({
        status: 404,
        body: { error: expect.stringContaining('nobody') },
      });
    }
    expect(await ask('/v2/models/good/infer', { host: 'no.such.host', ...json })).toMatchObject({
      status: 404,
      body: { error: expect.any(String) },
    });
    expect(await ask('/v2/models/good/infer', { host, ...json }, '{"inputs": [')).toMatchObject({
      status: 400,
      body: { error: expect.any(String) },
    });
    expect(await ask('/v2/repository/index', { host, ...json })).toMatchObject({ status: 404 });
    expect(await ask('/v2/repository/models/good/unload', { host, ...json })).toMatchObject({ status: 404 });
    expect(await world.predict('fleet', 'good')).toMatchObject({ status: 200, value: 7 });
  });

  async function readyCondition(name: string): Promise<Condition | undefined> {
    const path = `/apis/serving.kserve.io/v1alpha1/namespaces/default/trainedmodels/${name}`;
    const { status } = await world.api.get<{ status?: { conditions?: readonly Condition[] } }>(path);
    return status?.conditions?.find(({ type }) => type === 'Ready');
  }
});
