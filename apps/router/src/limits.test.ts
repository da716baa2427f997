import type { IncomingMessage, ServerResponse } from 'node:http';
import type { wire } from '@roundhouse/control-protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createRig as createGrpcRig,
  type GrpcRig,
  request,
  status,
} from '../../../packages/http-relay/src/h2/testing/rig.ts';
import { aModel, aReplica, aService, ask, createRig, type Rig, until, warm } from './testing/rig.ts';

let rig: Rig;
beforeEach(async () => {
  rig = await createRig();
});
afterEach(() => rig.close());

/** An agent that answers when it is told to. */
async function holdingAgent(name = 'a') {
  const held: { readonly model: string; readonly res: ServerResponse }[] = [];
  const handler = (req: IncomingMessage, res: ServerResponse) => {
    req.resume();
    held.push({ model: /models\/([^:/]+)/.exec(req.url!)![1]!, res });
  };
  const agent = await rig.startAgent(name, handler);
  return { ...agent, held, answerOne: () => held.shift()!.res.end('ok') };
}

type Limits = Partial<Omit<wire.ServiceLimits, '$typeName'>>;

async function routerWith(
  limits: Limits,
  services: Readonly<Record<string, { readonly name: string; readonly port: number }>>,
  flags: readonly string[] = [],
) {
  const control = await rig.startControl();
  rig.board.publish({
    services: Object.keys(services).map((key) => ({ ...aService(key), limits })),
    replicas: Object.entries(services).map(([key, agent]) => aReplica(agent, key)),
    models: Object.entries(services).flatMap(([key, { name }]) =>
      ['iris', 'rose'].map((model) => aModel(model, { [name]: warm }, key)),
    ),
  });
  const router = await rig.startRouter(control.port, flags);
  await until(async () => (await ask(router.opsPort, { method: 'GET', path: '/readyz' })).status === 200);
  const gauge = async (name: string) => {
    const { body } = await ask(router.opsPort, { method: 'GET', path: '/metrics' });
    return Number(new RegExp(`^roundhouse_router_${name} (\\d+)`, 'm').exec(body)?.[1]);
  };
  return { ...router, gauge };
}

const service = 'default/examples';
const to = (model: string) => ({ path: `/v1/models/${model}:predict` });

describe('a service with bounds', () => {
  it('lets so many in, lets as many wait, and refuses the rest at once', async () => {
    const agent = await holdingAgent();
    const { port, gauge } = await routerWith({ concurrency: 2 }, { [service]: agent });
    const asked = Array.from({ length: 5 }, () => ask(port));

    const refused = await Promise.race(asked);
    await until(() => agent.held.length === 2);

    expect(refused).toMatchObject({
      status: 503,
      headers: { 'x-roundhouse-reason': 'limit-reached', 'retry-after': '1' },
    });
    expect([await gauge('requests_in_flight'), await gauge('requests_queued')]).toEqual([2, 2]);
    for (let answered = 0; answered < 4; answered++) {
      await until(() => agent.held.length > 0);
      expect(agent.held.length).toBeLessThanOrEqual(2);
      agent.answerOne();
    }
    expect((await Promise.all(asked)).map(({ status }) => status).toSorted()).toEqual([200, 200, 200, 200, 503]);
    const again = ask(port);
    await until(() => agent.held.length === 1);
    agent.answerOne();
    expect((await again).status).toBe(200);
  });

  it('leaves other models alone when one is at its bound', async () => {
    const agent = await holdingAgent();
    const { port } = await routerWith({ modelConcurrency: 1, queue: 0 }, { [service]: agent });
    const iris = ask(port, to('iris'));
    await until(() => agent.held.length === 1);

    expect(await ask(port, to('iris'))).toMatchObject({ status: 503 });
    const rose = ask(port, to('rose'));
    await until(() => agent.held.length === 2);
    agent.answerOne();
    agent.answerOne();

    expect([(await iris).status, (await rose).status]).toEqual([200, 200]);
  });

  it('forgets who hangs up while it waits, and gives its turn to the next', async () => {
    const agent = await holdingAgent();
    const { port, gauge } = await routerWith({ concurrency: 1, queue: 5 }, { [service]: agent });
    const first = ask(port);
    await until(() => agent.held.length === 1);
    const grpc = createGrpcRig();
    const gone = await grpc.client(port);
    gone.send('GET /v1/models/iris HTTP/1.1\r\nHost: examples-default.example.com\r\n\r\n');
    await until(async () => (await gauge('requests_queued')) === 1);
    gone.socket.destroy();
    await until(async () => (await gauge('requests_queued')) === 0);
    const next = ask(port);
    await until(async () => (await gauge('requests_queued')) === 1);

    agent.answerOne();
    await until(() => agent.held.length === 1);
    agent.answerOne();

    expect([(await first).status, (await next).status]).toEqual([200, 200]);
    await grpc.close();
  });

  it('tells who waited in vain that it was too busy', async () => {
    const agent = await holdingAgent();
    const { port } = await routerWith({ concurrency: 1 }, { [service]: agent }, ['--wait-timeout=300ms']);
    const first = ask(port);
    await until(() => agent.held.length === 1);

    expect(await ask(port)).toMatchObject({ status: 503, headers: { 'x-roundhouse-reason': 'limit-reached' } });
    agent.answerOne();
    expect((await first).status).toBe(200);
  });

  it('bounds bodies and the time to answer', async () => {
    const agent = await holdingAgent();
    const { port } = await routerWith({ bodyBytes: 10n, timeoutMs: 300 }, { [service]: agent });

    expect(await ask(port, { body: 'x'.repeat(11) })).toMatchObject({
      status: 413,
      headers: { 'x-roundhouse-reason': 'body-too-large' },
    });
    expect(await ask(port, { body: 'x'.repeat(10) })).toMatchObject({
      status: 504,
      headers: { 'x-roundhouse-reason': 'upstream-timeout' },
    });
  });

  it('refuses gRPC as UNAVAILABLE, with when to ask again', async () => {
    const grpc: GrpcRig = createGrpcRig();
    const calls: (() => void)[] = [];
    const server = await grpc.server({ infer: (call, done) => void calls.push(() => done(null, call.request)) });
    const { port } = await routerWith({ concurrency: 1, queue: 0 }, { [service]: { name: 'a', port: server.port } });
    const client = grpc.grpc(port, {
      'grpc.default_authority': 'examples-default.example.com',
      'grpc.enable_retries': 0,
    });
    const first = client.infer('iris');
    await until(() => calls.length === 1);

    const failure = await client.failure('ModelInfer', request('iris'));

    expect(failure.code).toBe(status.UNAVAILABLE);
    expect(failure.metadata.get('x-roundhouse-reason')).toEqual(['limit-reached']);
    expect(failure.metadata.get('grpc-retry-pushback-ms')).toEqual(['1000']);
    calls[0]!();
    expect((await first).toString('latin1', 2)).toBe('iris');
    await grpc.close();
  });
});

describe('a router under more requests than it takes', () => {
  it('refuses the service that floods it, and serves the others', async () => {
    const [noisy, quiet] = [await holdingAgent('noisy'), await holdingAgent('quiet')];
    const services = { 'default/noisy': noisy, 'default/quiet': quiet };
    const { port } = await routerWith({}, services, ['--requests-max=20']);
    const flood = Array.from({ length: 40 }, () => ask(port, { host: 'noisy-default.example.com' }));
    let refused = 0;
    for (const one of flood) one.then(({ status }) => (refused += Number(status === 503)));
    await until(() => noisy.held.length === 20 && refused === 20);

    const others = Array.from({ length: 5 }, () => ask(port, { host: 'quiet-default.example.com' }));
    await until(() => quiet.held.length === 5);
    while (quiet.held.length > 0) quiet.answerOne();
    while (noisy.held.length > 0) noisy.answerOne();

    expect((await Promise.all(others)).map(({ status }) => status)).toEqual(Array(5).fill(200));
    const statuses = (await Promise.all(flood)).map(({ status }) => status);
    expect(statuses.filter((one) => one === 200)).toHaveLength(20);
    expect(statuses.filter((one) => one === 503)).toHaveLength(20);
    const after = ask(port, { host: 'noisy-default.example.com' }); // it recovers at once
    await until(() => noisy.held.length === 1);
    noisy.answerOne();
    expect((await after).status).toBe(200);
  });

  it('keeps room for others when one service has no replica that can be reached', async () => {
    const agent = await rig.startAgent('a');
    const services = { 'default/gone': { name: 'gone', port: 1 }, [service]: agent };
    const { port, gauge } = await routerWith({}, services, ['--waiting-max=20', '--wait-timeout=2s']);
    const waiting = Array.from({ length: 40 }, () => ask(port, { host: 'gone-default.example.com' }));
    for (const one of waiting) one.catch(() => {});
    await until(async () => (await gauge('requests_parked')) >= 20);
    await agent.stop();

    const other = ask(port);
    await rig.startAgent('a', undefined, agent.port);

    expect((await other).status).toBe(200);
    expect(await gauge('requests_parked')).toBeLessThanOrEqual(20);
  });
});
