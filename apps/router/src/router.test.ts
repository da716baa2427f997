import { type Fields, type Log, silentLog } from '@roundhouse/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { aModel, aReplica, aService, ask, cold, createRig, type Rig, until, warm } from './testing/rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await createRig();
});
afterEach(() => rig.close());

async function routerWith(models: Record<string, Record<string, number>>, ...agents: { name: string; port: number }[]) {
  const control = await rig.startControl();
  rig.board.publish({
    services: [aService()],
    replicas: agents.map((agent) => aReplica(agent)),
    models: Object.entries(models).map(([name, copies]) => aModel(name, copies)),
  });
  const router = await rig.startRouter(control.port);
  await until(async () => (await ask(router.opsPort, { method: 'GET', path: '/readyz' })).status === 200);
  return { ...router, control };
}

describe('router', () => {
  it('finds a model by host, whatever its case, port and trailing dot, and by path prefix', async () => {
    const agent = await rig.startAgent('a', (req, res) => res.end(req.url));
    const { port } = await routerWith({ iris: { a: warm } }, agent);

    for (const host of [
      'examples-default.example.com',
      'Examples-Default.Example.COM:8080',
      'examples-default.example.com.',
    ]) {
      expect(await ask(port, { host })).toMatchObject({ status: 200, body: '/v1/models/iris:predict' });
    }
    const path = '/serving/default/examples/v2/models/iris/infer';
    expect(await ask(port, { host: '127.0.0.1:80', path })).toMatchObject({
      status: 200,
      body: '/v2/models/iris/infer',
    });
  });

  it('says which of host and model it does not know', async () => {
    const { port } = await routerWith({ iris: { a: warm } }, await rig.startAgent('a'));

    const noHost = await ask(port, { host: 'elsewhere.example.com' });
    const noModel = await ask(port, { path: '/v2/models/rose/infer' });

    expect(noHost).toMatchObject({ status: 404, headers: { 'x-roundhouse-reason': 'unknown-host' } });
    expect(noModel).toMatchObject({ status: 404, headers: { 'x-roundhouse-reason': 'unknown-model' } });
    expect(JSON.parse(noModel.body)).toEqual({ error: 'model "rose" is not in service default/examples' });
  });

  it('sends each replica only what it holds, and both of two their share', async () => {
    const [a, b] = [await rig.startAgent('a'), await rig.startAgent('b')];
    const { port } = await routerWith({ iris: { a: warm, b: warm }, rose: { b: warm, a: cold } }, a, b);

    const iris = await Promise.all(Array.from({ length: 40 }, () => ask(port)));
    const rose = await Promise.all(Array.from({ length: 20 }, () => ask(port, { path: '/v2/models/rose/infer' })));

    expect(new Set(iris.map(({ body }) => body))).toEqual(new Set(['a', 'b']));
    expect(new Set(rose.map(({ body }) => body))).toEqual(new Set(['b']));
  });

  it('follows changes while it serves', async () => {
    const [a, b] = [await rig.startAgent('a'), await rig.startAgent('b')];
    const { port } = await routerWith({ iris: { a: warm } }, a, b);

    await rig.publish({ models: [aModel('iris', { b: warm }), aModel('rose', { a: cold })] });

    expect((await ask(port)).body).toBe('b');
    expect((await ask(port, { path: '/v1/models/rose:predict' })).body).toBe('a');

    await rig.publish({ removedModels: [{ service: 'default/examples', name: 'iris' }] });

    expect((await ask(port)).status).toBe(404);
  });

  it('asks another replica when one has the model no more', async () => {
    const gone = await rig.startAgent('a', (_, res) => res.writeHead(404, { 'x-roundhouse-not-here': '1' }).end('{}'));
    const { port } = await routerWith({ iris: { a: warm, b: cold } }, gone, await rig.startAgent('b'));

    const answer = await ask(port);

    expect(answer).toMatchObject({ status: 200, body: 'b' });
  });

  it('asks a replica again that had not heard of the model yet, once the routes have changed', async () => {
    let asked = 0;
    const late = await rig.startAgent('a', (_, res) => {
      if (asked++ === 0) res.writeHead(404, { 'x-roundhouse-not-here': '1' }).end('{}');
      else res.end('loaded');
    });
    const { port } = await routerWith({ iris: { a: cold } }, late);

    const answer = ask(port);
    await until(() => asked === 1);
    await rig.publish({ models: [aModel('iris', { a: warm })] });

    expect(await answer).toMatchObject({ status: 200, body: 'loaded' });
  });

  it('passes on why a model fails when no other replica has it', async () => {
    const failing = await rig.startAgent('a', (_, res) =>
      res
        .writeHead(503, { 'x-roundhouse-not-here': '1', 'x-roundhouse-reason': 'model-failed' })
        .end('{"error":"corrupt"}'),
    );
    const { port } = await routerWith({ iris: { a: cold } }, failing);

    const answer = await ask(port);

    expect(answer).toMatchObject({
      status: 503,
      body: '{"error":"corrupt"}',
      headers: { 'x-roundhouse-reason': 'model-failed' },
    });
    expect(answer.headers).not.toHaveProperty('x-roundhouse-not-here');
  });

  it('lets requests wait for an agent that restarts, and loses none', async () => {
    const agent = await rig.startAgent('a');
    const { port } = await routerWith({ iris: { a: warm } }, agent);
    await agent.stop();

    const answers = Array.from({ length: 20 }, () => ask(port));
    await rig.startAgent('a', undefined, agent.port);

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(Array(20).fill(200));
  });

  it('lets requests wait for a model whose last copy has just gone', async () => {
    const agent = await rig.startAgent('a');
    const { port } = await routerWith({ iris: { a: warm } }, agent);
    await rig.publish({ models: [aModel('iris', {})] });

    const answer = ask(port);
    await rig.publish({ models: [aModel('iris', { a: warm })] });

    expect((await answer).status).toBe(200);
  });

  it('answers at once for a model that never had a copy', async () => {
    const { port } = await routerWith({ iris: {} }, await rig.startAgent('a'));

    const answer = await ask(port);

    expect(answer).toMatchObject({ status: 503, headers: { 'x-roundhouse-reason': 'no-replica', 'retry-after': '1' } });
  });

  it('goes on serving when the controller is away, and follows it again when it is back', async () => {
    const agent = await rig.startAgent('a');
    const { port, control } = await routerWith({ iris: { a: warm } }, agent);

    await control.close();

    expect((await ask(port)).status).toBe(200);

    await rig.startControl(control.port);
    rig.board.publish({ models: [aModel('rose', { a: warm })] });
    await until(async () => (await ask(port, { path: '/v2/models/rose/infer' })).status === 200);

    expect((await ask(port)).status).toBe(200);
  });

  it('lets requests that come before the first routes wait for them', async () => {
    const agent = await rig.startAgent('a');
    const control = await rig.startControl();
    await control.close();
    const router = await rig.startRouter(control.port);
    const path = '/serving/default/examples/v1/models/iris:predict';

    const answers = [ask(router.port), ask(router.port, { host: 'localhost', path })];
    expect((await ask(router.opsPort, { method: 'GET', path: '/readyz' })).status).toBe(503);
    rig.board.publish({ services: [aService()], replicas: [aReplica(agent)], models: [aModel('iris', { a: warm })] });
    await rig.startControl(control.port);

    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200]);
  });

  it('lets requests for what may have come while the controller was away wait for it', async () => {
    const control = await rig.startControl();
    const router = await rig.startRouter(control.port);
    await until(async () => (await ask(router.opsPort, { method: 'GET', path: '/readyz' })).status === 200);
    const agent = await rig.startAgent('a');
    const known = await ask(router.port);
    await control.close();
    const answers = [ask(router.port), ask(router.port, { host: 'localhost' })];

    rig.board.publish({ services: [aService()], replicas: [aReplica(agent)], models: [aModel('iris', { a: warm })] });
    await rig.startControl(control.port);

    expect(known.status).toBe(404);
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 404]);
  });

  it('names the path of the other protocol when the service does not speak this one', async () => {
    const { port } = await routerWith({ iris: { a: warm } }, await rig.startAgent('a'));
    await rig.publish({ services: [{ ...aService(), v1: false }] });

    const answer = await ask(port);

    expect(answer).toMatchObject({ status: 404, headers: { 'x-roundhouse-reason': 'wrong-protocol' } });
    expect(answer.body).toContain('/v2/models/iris/infer');
  });

  it('prefers replicas in its own zone', async () => {
    const [near, far] = [await rig.startAgent('near'), await rig.startAgent('far')];
    const control = await rig.startControl();
    rig.board.publish({
      services: [aService()],
      replicas: [
        { ...aReplica(near), zone: 'z1' },
        { ...aReplica(far), zone: 'z2' },
      ],
      models: [aModel('iris', { near: warm, far: warm })],
    });
    const { port, opsPort } = await rig.startRouter(control.port, [], { env: { ROUNDHOUSE_ZONE: 'z1' } });
    await until(async () => (await ask(opsPort, { method: 'GET', path: '/readyz' })).status === 200);

    const answers = [];
    for (let n = 0; n < 20; n++) answers.push(await ask(port));
    await near.stop();
    answers.push(await ask(port));

    expect(answers.map(({ body }) => body)).toEqual([...Array(20).fill('near'), 'far']);
  });

  it('notes a sample of requests, and every one that fails', async () => {
    const lines: Fields[] = [];
    const log: Log = { ...silentLog, info: (fields, text) => void (text === 'request' && lines.push(fields)) };
    const control = await rig.startControl();
    const agent = await rig.startAgent('a');
    rig.board.publish({
      services: [aService()],
      replicas: [aReplica(agent)],
      models: [aModel('iris', { a: warm }), aModel('rose', {})],
    });
    const all = await rig.startRouter(control.port, ['--access-log=1'], { log });
    const failures = await rig.startRouter(control.port, ['--access-log=0.000001'], { log });
    for (const { opsPort } of [all, failures]) {
      await until(async () => (await ask(opsPort, { method: 'GET', path: '/readyz' })).status === 200);
    }

    await ask(all.port, { path: '/v1/models/iris:predict?key=secret' });
    await ask(failures.port);
    await ask(failures.port, { path: '/v1/models/rose:predict' });

    expect(lines).toMatchObject([
      {
        ...{ service: 'default/examples', model: 'iris', status: 200, replica: 'a', client: '127.0.0.1' },
        ...{ requestId: expect.stringMatching(/./), traceId: expect.stringMatching(/^[0-9a-f]{32}$/) },
      },
      { model: 'rose', status: 503, reason: 'no-replica' },
    ]);
    expect(JSON.stringify(lines)).not.toContain('secret');
  });

  it('counts what it does', async () => {
    const { port, opsPort } = await routerWith({ iris: { a: warm } }, await rig.startAgent('a'));
    await ask(port);
    await ask(port, { path: '/v2/repository/index' });

    const { body } = await ask(opsPort, { method: 'GET', path: '/metrics' });
    const routes = await ask(opsPort, { method: 'GET', path: '/routes' });

    expect(body).toContain('roundhouse_router_requests_total{service="default/examples",code="200"} 1');
    expect(body).toContain('roundhouse_router_requests_total{service="default/examples",code="404"} 1');
    expect(body).toContain('roundhouse_router_request_duration_seconds_count 2');
    expect(JSON.parse(routes.body)).toMatchObject([
      { service: 'default/examples', models: [{ name: 'iris', warm: ['a'] }] },
    ]);
  });

  it('finishes what is in flight when asked to stop', async () => {
    let reached = () => {};
    const arrived = new Promise<void>((resolve) => {
      reached = resolve;
    });
    let finish = () => {};
    const agent = await rig.startAgent('a', (_, res) => {
      finish = () => res.end('done');
      reached();
    });
    const { port, stop } = await routerWith({ iris: { a: warm } }, agent);
    const answer = ask(port);
    await arrived;

    const stopped = stop();
    await until(() =>
      ask(port).then(
        () => false,
        () => true,
      ),
    );
    finish();

    expect((await answer).body).toBe('done');
    await stopped;
  });
});
