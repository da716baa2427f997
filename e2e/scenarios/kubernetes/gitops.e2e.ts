import { aModel, aService, trainedModels } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { statusOf, type Watched } from '../../frame/kstatus.ts';
import { openWorld } from '../../frame/open-world.ts';
import { until, type World } from '../../frame/world.ts';

/** What Argo CD, Flux and others do: server-side apply, again and again, and waiting for what kstatus says. */

const inferenceServices = '/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices';

describe('a GitOps tool', () => {
  let world: World;

  beforeAll(async () => {
    world = await openWorld();
  });
  afterAll(() => world?.close());

  const manager = (name: string, ...more: readonly string[]) => [
    '--server-side',
    `--field-manager=${name}`,
    ...more,
    '-f',
    '-',
  ];
  const text = (...objects: readonly object[]) => objects.map((object) => JSON.stringify(object)).join('\n---\n');
  const labelled = (object: { metadata: object }, labels: object) => ({
    ...object,
    metadata: { ...object.metadata, labels },
  });

  it('applies on the server, and finds no difference once everything is Ready', async () => {
    const objects = text(aService('fleet'), labelled(aModel('m', 'fleet', world.artifact('m', 1)), { team: 'a' }));
    await world.kubectl(['apply', ...manager('gitops')], objects);
    await world.kubectl(['wait', '--for=condition=Ready', 'isvc/fleet', 'tm/m', '--timeout=60s']);

    // An exit status of 1 would say that there is one.
    expect(await world.kubectl(['diff', ...manager('gitops')], objects)).toBe('');
  });

  it('takes back only its own fields', async () => {
    await world.kubectl(['apply', ...manager('gitops')], text(aModel('m', 'fleet', world.artifact('m', 1))));
    const { metadata } = await world.api.get<{ metadata: Record<string, object> }>(`${trainedModels}/m`);

    expect(metadata.labels).not.toHaveProperty('team');
    expect(metadata.finalizers).toHaveLength(1);
    expect(metadata.ownerReferences).toHaveLength(1);
    expect((await world.predict('fleet', 'm')).value).toBe(1);
  });

  it('is told of a conflict with another, by the field', async () => {
    const moved = text(aModel('m', 'fleet', world.artifact('m', 2)));

    await expect(world.kubectl(['apply', ...manager('somebody-else')], moved)).rejects.toThrow(/storageUri/);
    await world.kubectl(['apply', ...manager('somebody-else', '--force-conflicts')], moved);
    await until('the new version answers', async () => (await world.predict('fleet', 'm')).value === 2);
  });

  it.each([
    ['a service and a model that are well', 'm', 'Current'],
    ['a model that no server can load', 'corrupt', 'Failed'],
    ['a model of a framework that is not served', 'torch', 'Failed'],
  ])('sees what becomes of %s', async (_, name, expected) => {
    if (name === 'corrupt') await world.apply(aModel(name, 'fleet', world.artifact(name, 'corrupt')));
    if (name === 'torch') await world.apply(aModel(name, 'fleet', world.artifact(name, 1), '1Mi', 'pytorch'));
    await until(
      `${name} is ${expected}`,
      async () => statusOf(await world.api.get<Watched>(`${trainedModels}/${name}`)) === expected,
      60_000,
    );

    expect(statusOf(await world.api.get<Watched>(`${inferenceServices}/fleet`))).toBe('Current');
  });
});
