import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Upstream } from '../index.ts';
import { until } from '../testing/rig.ts';
import { createRig, type GrpcRig, metadata, request, status } from './testing/rig.ts';

let rig: GrpcRig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

describe('a relay of gRPC', () => {
  it('takes calls of several clients to one upstream connection, by the model that the message names', async () => {
    const peers = new Set<string>();
    const server = await rig.server({
      infer(call, done) {
        peers.add(call.getPeer());
        done(null, call.request);
      },
    });
    const asked: string[] = [];
    let upstream!: Upstream;
    const made = await rig.relay(server.port, {
      pick(head) {
        const host = head.bytes.toString('latin1', head.hostStart, head.hostEnd);
        asked.push(`${host} ${head.route} ${head.modelName()}`);
        return upstream;
      },
    });
    upstream = made.upstream;
    const [one, two] = [rig.grpc(made.port), rig.grpc(made.port)];

    const answers = await Promise.all([one.infer('iris'), two.infer('rose'), one.infer('iris')]);

    expect(answers.map((answer) => answer.toString('latin1', 2))).toEqual(['iris', 'rose', 'iris']);
    expect(asked.toSorted()).toEqual(['127.0.0.1 12 iris', '127.0.0.1 12 iris', '127.0.0.1 12 rose']);
    expect(peers.size).toBe(1);
    expect(upstream.inFlight).toBe(0);
  });

  it('believes metadata before the message, and needs it for a compressed one', async () => {
    const server = await rig.server({});
    const asked: string[] = [];
    let upstream!: Upstream;
    const made = await rig.relay(server.port, {
      pick(head) {
        asked.push(head.modelName());
        return upstream;
      },
    });
    upstream = made.upstream;
    const plain = rig.grpc(made.port);
    const packing = rig.grpc(made.port, { 'grpc.default_compression_algorithm': 2 });

    await plain.call('ModelInfer', request('iris'), metadata({ 'mm-model-id': 'rose' }));
    await plain.call('ModelInfer', request('iris'), metadata({ 'mm-vmodel-id': 'tulip' }));
    await packing.call('ModelInfer', request('iris'), metadata({ 'mm-model-id': 'lily' }));
    const failure = await packing.failure('ModelInfer', request('iris'));

    expect(asked).toEqual(['rose', 'tulip', 'lily']);
    expect(failure).toMatchObject({ code: status.UNIMPLEMENTED, details: expect.stringContaining('compressed') });
    expect(failure.metadata.get('x-roundhouse-reason')).toEqual(['model-hidden']);
  });

  it('holds a head back until a message names the model, unless the metadata does', async () => {
    const server = await rig.server({});
    const asked: string[] = [];
    const made = await rig.relay(server.port, {
      pick(head) {
        asked.push(head.modelName());
        return made.upstream;
      },
    });
    const client = rig.grpc(made.port);
    const [silent, named] = [client.stream(), client.stream(metadata({ 'mm-model-id': 'rose' }))];
    for (const call of [silent, named]) call.on('error', () => {});
    const answers: Buffer[] = [];
    silent.on('data', (message: Buffer) => answers.push(message));

    await until(() => asked.length === 1); // only the one with a name has gone on
    expect([asked, made.upstream.inFlight]).toEqual([['rose'], 1]);
    silent.write(request('iris'));
    await until(() => answers.length === 1);

    expect(asked).toEqual(['rose', 'iris']);
    silent.cancel();
    named.cancel();
    await until(() => made.upstream.inFlight === 0);
  });

  it('keeps a stream where its first message took it, whatever later ones name', async () => {
    const server = await rig.server({});
    const asked: string[] = [];
    const made = await rig.relay(server.port, {
      pick(head) {
        asked.push(head.modelName());
        return made.upstream;
      },
    });
    const call = rig.grpc(made.port).stream();
    const answers: string[] = [];
    const ended = new Promise<void>((resolve) => call.on('end', resolve));
    call.on('data', (message: Buffer) => answers.push(message.toString('latin1', 2)));

    for (const model of ['iris', 'rose', 'iris', 'tulip']) call.write(request(model));
    call.end();
    await ended;

    expect(asked).toEqual(['iris']);
    expect(answers).toEqual(['iris', 'rose', 'iris', 'tulip']);
  });

  it.each([
    ['RepositoryIndex', request('iris'), status.UNIMPLEMENTED, 'path-not-allowed'],
    ['ModelInfer', request(''), status.INVALID_ARGUMENT, 'malformed-request'],
    ['ModelInfer', Buffer.alloc(0), status.INVALID_ARGUMENT, 'malformed-request'],
    ['ModelReady', request('nobody'), status.NOT_FOUND, 'unknown-model'],
    ['ServerLive', Buffer.alloc(0), status.UNAVAILABLE, 'overloaded'],
  ])('refuses %s in trailers', async (method, message, code, reason) => {
    const { port } = await rig.relay(1, {
      pick: (head) =>
        head.modelEnd > head.modelStart
          ? { status: 404, reason: 'unknown-model', message: `no "${head.modelName()}" here: 100 %` }
          : { status: 503, reason: 'overloaded', message: 'later', retryAfterS: 2 },
    });

    const failure = await rig.grpc(port).failure(method, message);

    expect(failure.code).toBe(code);
    expect(failure.metadata.get('x-roundhouse-reason')).toEqual([reason]);
    if (reason === 'unknown-model') expect(failure.details).toBe('no "nobody" here: 100 %');
    if (reason === 'overloaded') expect(failure.metadata.get('grpc-retry-pushback-ms')).toEqual(['2000']);
  });
});
