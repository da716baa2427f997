import { aModel, aService } from '@roundhouse/testkit';
import { request } from 'undici';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openWorld } from '../frame/open-world.ts';
import { type Condition, until, type World } from '../frame/world.ts';

/** What a service says of its requests reaches the routers, and takes effect without a restart of anything. */

describe('annotations of a service', () => {
  let world: World;
  beforeAll(async () => {
    world = await openWorld();
    await world.apply(aService('fleet'), aModel('good', 'fleet', world.artifact('good', 7)));
    await world.kubectl(['wait', '--for=condition=Ready', 'tm/good', '--timeout=20s']);
  });
  afterAll(() => world?.close());

  const annotate = (...notes: readonly string[]) =>
    world.kubectl(['annotate', '--overwrite', 'isvc/fleet', ...notes.map((note) => `roundhouse.dev/${note}`)]);

  async function ask(body = JSON.stringify({ instances: [[1]] })) {
    const answer = await request(`${world.routerUrl}/v1/models/good:predict`, {
      method: 'POST',
      headers: { host: 'fleet-default.example.com', 'content-type': 'application/json' },
      body,
    });
    await answer.body.dump();
    return `${answer.statusCode} ${answer.headers['x-roundhouse-reason'] ?? ''}`.trim();
  }
  const large = JSON.stringify({ instances: [[1]], padding: 'x'.repeat(4_000) });

  it('bound the size of a body, and ask for credentials', async () => {
    expect(await ask(large)).not.toContain('413');

    await annotate('max-body=2Ki');
    await until('a body that is too large', async () => (await ask(large)) === '413 body-too-large');
    expect(await ask()).toBe('200');

    await annotate('max-body-', 'auth=api-key');
    await until('a service that is not open', async () => (await ask()) === '401 unauthenticated');

    await annotate('auth-');
    await until('a service that is open again', async () => (await ask()) === '200');
    expect(await ask(large)).not.toContain('413');
  });

  it('that cannot be read are named in a condition', async () => {
    await annotate('concurrency=many');

    await until('a condition that names it', async () => {
      const path = '/apis/serving.kserve.io/v1beta1/namespaces/default/inferenceservices/fleet';
      const { status } = await world.api.get<{ status?: { conditions?: readonly Condition[] } }>(path);
      const found = status?.conditions?.find(({ type }) => type === 'UnsupportedField');
      return found?.message?.includes('roundhouse.dev/concurrency: "many"') === true;
    });
    expect(await ask()).toBe('200');
  });
});
