import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createRig as createGrpcRig,
  type GrpcRig,
  metadata,
  request,
  status,
} from '../../../packages/http-relay/src/h2/testing/rig.ts';
import { aModel, aReplica, aService, ask, cold, createRig, type Rig, until, warm } from './testing/rig.ts';

let rig: Rig;
let grpc: GrpcRig;
beforeEach(async () => {
  rig = await createRig();
  grpc = createGrpcRig();
});
afterEach(async () => {
  await grpc.close();
  await rig.close();
});

const named = (name: string) => ({
  infer: (_: unknown, done: (error: null, value: Buffer) => void) => done(null, Buffer.from(name)),
});

async function routerWith(models: Record<string, Record<string, number>>, agents: Record<string, number>, v2 = true) {
  const control = await rig.startControl();
  rig.board.publish({
    services: [{ ...aService(), v2 }],
    replicas: Object.entries(agents).map(([name, port]) => aReplica({ name, port })),
    models: Object.entries(models).map(([name, copies]) => aModel(name, copies)),
  });
  const router = await rig.startRouter(control.port);
  await until(async () => (await ask(router.opsPort, { method: 'GET', path: '/readyz' })).status === 200);
  const client = (authority = 'examples-default.example.com') =>
    grpc.grpc(router.port, { 'grpc.default_authority': authority });
  return { ...router, client };
}

describe('router of gRPC', () => {
  it('finds the replica by authority and model name, on the port of HTTP/1.1', async () => {
    const [a, b] = [await grpc.server(named('a')), await grpc.server(named('b'))];
    const { client } = await routerWith({ iris: { a: warm }, rose: { b: warm } }, { a: a.port, b: b.port });
    const one = client();

    expect([`${await one.infer('iris')}`, `${await one.infer('rose')}`]).toEqual(['a', 'b']);
    expect(`${await client('Examples-Default.example.com:80').infer('iris')}`).toBe('a');
    expect((await one.failure('ModelInfer', request('tulip'))).code).toBe(status.NOT_FOUND);
    expect(
      (await client('elsewhere').failure('ModelInfer', request('iris'))).metadata.get('x-roundhouse-reason'),
    ).toEqual(['unknown-host']);
  });

  it('asks another replica when one has the model no more', async () => {
    const notHere = metadata({ 'x-roundhouse-not-here': '1' });
    const gone = await grpc.server({
      infer: (_, done) => done({ code: status.NOT_FOUND, details: 'gone', metadata: notHere }),
    });
    const b = await grpc.server(named('b'));
    const { client } = await routerWith({ iris: { a: warm, b: cold } }, { a: gone.port, b: b.port });

    expect(`${await client().infer('iris')}`).toBe('b');
  });

  it('says what to use when the servers speak V1 only', async () => {
    const { client } = await routerWith({ iris: { a: warm } }, { a: 1 }, false);

    expect((await client().failure('ModelInfer', request('iris'))).details).toContain(
      'use HTTP and /v1/models/iris:predict',
    );
  });
});
