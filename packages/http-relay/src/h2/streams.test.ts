import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { until } from '../testing/rig.ts';
import { createRig, type GrpcRig, metadata, request, status } from './testing/rig.ts';

let rig: GrpcRig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

describe('a gRPC stream', () => {
  it('takes messages both ways as they come, then the trailers', async () => {
    const server = await rig.server({
      stream(call) {
        call.sendMetadata(metadata({ 'x-initial': 'early' }));
        let count = 0;
        call.on('data', (message: Buffer) => {
          count++;
          call.write(message);
          call.write(message);
        });
        call.on('end', () => call.end(metadata({ 'x-count': `${count}` })));
      },
    });
    const { port, upstream } = await rig.relay(server.port);
    const call = rig.grpc(port).stream();
    const received: Buffer[] = [];
    const seen: Record<string, unknown> = {};
    call
      .on('data', (message: Buffer) => received.push(message))
      .on('metadata', (fields) => {
        seen.initial = fields.get('x-initial');
      })
      .on('status', (end) => {
        seen.status = [end.code, end.metadata.get('x-count')];
      });

    call.write(request('iris', Buffer.from('one')));
    await until(() => received.length === 2);
    call.write(request('iris', Buffer.from('two')));
    await until(() => received.length === 4);
    call.end();
    await until(() => seen.status !== undefined);

    expect(received.map(({ length }) => length)).toEqual([11, 11, 11, 11]);
    expect(seen).toEqual({ initial: ['early'], status: [status.OK, ['2']] });
    expect(upstream.inFlight).toBe(0);
  });

  it('ends with the error that the server gives, before or after messages', async () => {
    const server = await rig.server({
      infer: (_, done) => done({ code: status.OUT_OF_RANGE, details: 'übel', metadata: metadata({ 'x-why': 'so' }) }),
      stream(call) {
        call.write(Buffer.from('first'));
        call.emit('error', { code: status.DATA_LOSS, details: 'half of it' });
      },
    });
    const done: number[] = [];
    const { port } = await rig.relay(server.port, { onDone: (exchange) => done.push(exchange.status) });
    const client = rig.grpc(port);

    const failure = await client.failure('ModelInfer', request('iris'));
    const call = client.stream();
    const seen: unknown[] = [];
    call.on('data', (message) => seen.push(`${message}`)).on('error', (error) => seen.push(error.message));
    call.write(request('iris'));
    await until(() => seen.length === 2);

    expect(failure).toMatchObject({ code: status.OUT_OF_RANGE, details: 'übel' });
    expect(failure.metadata.get('x-why')).toEqual(['so']);
    expect(seen).toEqual(['first', '15 DATA_LOSS: half of it']);
    expect(done).toEqual([400, 500]);
  });

  it('takes deadlines and cancellations to the server at once', async () => {
    const cancelled: number[] = [];
    const deadlines: unknown[] = [];
    const server = await rig.server({
      infer(call) {
        deadlines.push(call.getDeadline());
        call.on('cancelled', () => cancelled.push(1));
      },
      stream: (call) => void call.on('cancelled', () => cancelled.push(2)).on('data', (message) => call.write(message)),
    });
    const done: unknown[] = [];
    const { port, upstream } = await rig.relay(server.port, {
      onDone: ({ status, reason }) => done.push([status, reason]),
    });
    const client = rig.grpc(port);

    const failure = await client.failure('ModelInfer', request('iris'), metadata({}), { deadline: Date.now() + 300 });
    await until(() => cancelled.length === 1);
    const call = client.stream();
    call.on('error', () => {}).on('data', () => call.cancel());
    call.write(request('iris'));
    await until(() => cancelled.length === 2);

    expect(failure.code).toBe(status.DEADLINE_EXCEEDED);
    expect(deadlines).toEqual([expect.any(Number)]);
    await until(() => done.length === 2);
    expect(done).toEqual([
      [0, 'client-gone'],
      [200, 'client-gone'],
    ]);
    expect(upstream.inFlight).toBe(0);
  });

  it('cancels what a client that hangs up has asked for', async () => {
    let asked = 0;
    let cancelled = 0;
    const server = await rig.server({
      infer: (call) => {
        asked++;
        call.on('cancelled', () => cancelled++);
      },
    });
    const { port, upstream, relay } = await rig.relay(server.port);
    const client = rig.grpc(port);
    const failures = [1, 2, 3].map(() => client.failure('ModelInfer', request('iris')));
    await until(() => asked === 3); // what has not come to the server cannot be cancelled there

    client.client.close();
    await until(() => cancelled === 3 || upstream.inFlight === 3);
    await relay.close(AbortSignal.abort());
    await Promise.all(failures);
    await until(() => cancelled === 3);
    await until(() => upstream.inFlight === 0 && relay.stats.connections === 0);
  });
});

describe('big messages', () => {
  const big = Buffer.alloc(8 * 1024 * 1024, 'roundhouse');

  it('go both ways unchanged, several at a time', async () => {
    const server = await rig.server({});
    const { port } = await rig.relay(server.port);
    const clients = [rig.grpc(port), rig.grpc(port)];
    const message = request('iris', big);

    const answers = await Promise.all([...clients, ...clients].map((client) => client.call('ModelInfer', message)));

    for (const answer of answers) expect(answer.equals(message)).toBe(true);
  });

  it('wait in the server for a client that stops reading, which harms no other', async () => {
    let written = 0;
    const server = await rig.server({
      stream(call) {
        call.on('error', () => {});
        const more = (): void => {
          if (written++ < 64) call.write(big.subarray(0, 1024 * 1024), more);
        };
        more();
      },
    });
    const { port } = await rig.relay(server.port);
    const [slow, quick] = [rig.grpc(port), rig.grpc(port)];
    const call = slow.stream();
    let received = 0;
    call
      .on('error', () => {})
      .on('data', () => {
        received++;
        call.pause();
      });
    call.write(request('iris'));
    await until(() => received === 1);

    for (let n = 0; n < 20; n++) await quick.infer('iris', big.subarray(0, 100_000));

    expect(written).toBeLessThan(32);
    call.resume();
    call.on('data', () => call.resume());
    await until(() => received === 64);
  });
});
