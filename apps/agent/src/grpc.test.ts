import { wire } from '@roundhouse/control-protocol';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createRig as createGrpcRig,
  type GrpcRig,
  request,
  status,
} from '../../../packages/http-relay/src/h2/testing/rig.ts';
import { createRig, type Rig, until } from './testing/rig.ts';

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

async function agentWithIris(grpcPort: number) {
  await rig.startControl();
  const agent = await rig.startAgent(`--component-grpc-port=${grpcPort}`);
  await until(() => rig.session?.reported === true);
  rig.session?.assign([await rig.aModel('iris')], []);
  await until(() => rig.session?.reports.get('iris')?.state === wire.ModelState.LOADED);
  return grpc.grpc(agent.dataPort);
}

describe('an agent of gRPC', () => {
  it("takes what is for its models to the server's own port, and says that it has no others", async () => {
    const client = await agentWithIris((await grpc.server({})).port);

    const other = await client.failure('ModelInfer', request('rose'));

    expect((await client.infer('iris')).length).toBe(6);
    expect(await client.call('ServerLive', Buffer.alloc(0))).toEqual(Buffer.alloc(0));
    expect(other.code).toBe(status.NOT_FOUND);
    expect(other.metadata.get('x-roundhouse-not-here')).toEqual(['1']);
    expect((await client.failure('RepositoryIndex', Buffer.alloc(0))).code).toBe(status.UNIMPLEMENTED);
  });

  it('beside a server of one protocol names the path of that one', async () => {
    rig.dialect = 'mlserver';
    const agent = await rig.startAgent();
    const url = `http://127.0.0.1:${agent.dataPort}/v1/models/iris:predict`;

    const answer = await fetch(url, { method: 'POST', body: '{}' });

    expect([answer.status, answer.headers.get('x-roundhouse-reason')]).toEqual([404, 'wrong-protocol']);
    expect(await answer.text()).toContain('/v2/models/iris/infer');
  });

  it('says soon when the server takes no gRPC, and goes on with HTTP', async () => {
    const gone = await grpc.server({});
    gone.stop();
    const client = await agentWithIris(gone.port);

    const failure = await client.failure('ModelInfer', request('iris'));

    expect(failure.metadata.get('x-roundhouse-reason')).toEqual(['no-grpc']);
  });
});
