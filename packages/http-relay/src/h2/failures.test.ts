import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Exchange, Failure, Upstream } from '../index.ts';
import { until } from '../testing/rig.ts';
import { createRig, type GrpcRig, metadata, request, status } from './testing/rig.ts';

let rig: GrpcRig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

/** A relay between two upstreams: to the first one first. */
async function between(first: number, second: number) {
  const failures: Failure[] = [];
  const upstreams: Upstream[] = [];
  const { relay, port } = await rig.relay(first, {
    pick: (_, { attempt }) => upstreams[Math.min(attempt, 1)]!,
    elsewhere: (upstream) => upstream === upstreams[0],
    onFailure: (_, failure) => failures.push(failure),
  });
  for (const to of [first, second]) upstreams.push(relay.upstream({ host: '127.0.0.1', port: to }));
  return { port, failures, upstreams };
}

describe('a gRPC request that fails', () => {
  it('goes elsewhere, message and all, when the upstream has not the model', async () => {
    const notHere = metadata({ 'x-roundhouse-not-here': '1' });
    const gone = await rig.server({
      infer: (_, done) => done({ code: status.NOT_FOUND, details: '', metadata: notHere }),
    });
    const { port, failures, upstreams } = await between(gone.port, (await rig.server({})).port);

    const message = request('iris', Buffer.alloc(40_000, 'x'));
    const answer = await rig.grpc(port).call('ModelInfer', message);

    expect(answer.equals(message)).toBe(true);
    expect(failures).toEqual(['not-here']);
    expect(upstreams.map(({ inFlight }) => inFlight)).toEqual([0, 0]);
  });

  it('passes "not here" on without its marker when the message is too large to be sent again', async () => {
    const notHere = metadata({ 'x-roundhouse-not-here': '1' });
    const gone = await rig.server({
      infer: (_, done) => done({ code: status.NOT_FOUND, details: '', metadata: notHere }),
    });
    const { port } = await between(gone.port, 1);

    const failure = await rig.grpc(port).failure('ModelInfer', request('iris', Buffer.alloc(100_000)));

    expect(failure.code).toBe(status.NOT_FOUND);
    expect(failure.metadata.get('x-roundhouse-not-here')).toEqual([]);
  });

  it('goes elsewhere when nobody listens, and fails when nobody listens there either', async () => {
    const nobody = 1; // never given out by the system, as the port of a server that has stopped may be
    const well = await between(nobody, (await rig.server({})).port);
    const ill = await between(nobody, nobody);

    expect((await rig.grpc(well.port).infer('iris')).length).toBe(6);
    expect(well.failures).toEqual(['connect']);
    expect((await rig.grpc(ill.port).failure('ModelInfer', request('iris'))).code).toBe(status.UNAVAILABLE);
  });

  it('is not sent again when the upstream dies under it, and says so in trailers', async () => {
    const server = await rig.server({
      infer: () => server.stop(),
      stream: (call) => void call.on('error', () => {}).write(Buffer.from('first')),
    });
    const { port, failures } = await between(server.port, (await rig.server({})).port);
    const client = rig.grpc(port);
    const call = client.stream();
    const seen: unknown[] = [];
    call.on('data', (data) => seen.push(`${data}`)).on('error', (error) => seen.push(error));
    call.write(request('iris'));
    await until(() => seen.length === 1);

    const failure = await client.failure('ModelInfer', request('iris'));
    await until(() => seen.length === 2);

    expect(failure.code).toBe(status.UNAVAILABLE);
    expect(seen[1]).toMatchObject({ code: status.UNAVAILABLE });
    expect(failures.slice(1)).toEqual([]);
  });

  it('waits while it is parked, for so long and no longer', async () => {
    const server = await rig.server({});
    const parked: Exchange[] = [];
    const { port, relay, upstream } = await rig.relay(server.port, {
      limits: { parkedMs: 300 },
      pick(_, exchange) {
        parked.push(exchange);
        return 'parked';
      },
    });
    const client = rig.grpc(port);

    const answer = client.infer('iris');
    await until(() => parked.length === 1);
    const { parked: count } = relay.stats;
    parked[0]?.resume(upstream);

    expect(count).toBe(1);
    expect((await answer).length).toBe(6);

    const failure = await client.failure('ModelInfer', request('iris'));

    expect(failure.metadata.get('x-roundhouse-reason')).toEqual(['no-replica']);
    expect(relay.stats.parked).toBe(0);
  });

  it('is finished before a relay closes, whose clients are told to go', async () => {
    let finish: (() => void) | undefined;
    const server = await rig.server({
      infer(call, done) {
        finish = () => done(null, call.request);
      },
    });
    const { port, relay } = await rig.relay(server.port);
    const answer = rig.grpc(port).infer('iris');
    await until(() => finish !== undefined);

    const closed = relay.close(new AbortController().signal);
    finish?.();

    expect((await answer).length).toBe(6);
    await closed;
  });

  it('opens another connection when the one it had is told goodbye', async () => {
    const server = await rig.server({});
    const { port } = await rig.relay(server.port);
    const client = rig.grpc(port);
    await client.infer('iris');

    server.stop();
    const again = await rig.server({}, server.port);
    const answer = await client.infer('iris').catch(() => client.infer('iris'));

    expect(answer.length).toBe(6);
    again.stop();
  });
});
