import type { Socket } from 'node:net';
import { stepClock } from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Answer, Exchange, Failure, RelayOptions } from './index.ts';
import { createRig, post, type Rig, until } from './testing/rig.ts';

let rig: Rig;
beforeEach(() => {
  rig = createRig();
});
afterEach(() => rig.close());

const request = post('/v1/models/a:predict', ['Content-Length: 2', 'Connection: close'], '{}');

/** An upstream that answers the first request it reads with `answer`, and hangs up. */
const answering = (answer: string) =>
  rig.net((socket) => {
    socket.once('data', () => socket.end(answer, 'latin1'));
  });

describe('an upstream that fails', () => {
  it.each([
    ['less than it announced', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123'],
    ['a chunk too few', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n'],
  ])('and sends %s is not taken for success', async (_, answer) => {
    const outcomes: (string | undefined)[] = [];
    const { port } = await rig.relay((await answering(answer)).port, { onDone: ({ reason }) => outcomes.push(reason) });
    const client = await rig.client(port);

    client.send(request);
    await until(() => client.closed);

    expect(client.text).not.toMatch(/\r\n0\r\n\r\n$/);
    expect([client.error?.code, outcomes]).toEqual(['ECONNRESET', ['truncated']]);
  });

  it.each([
    ['more than it announced', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n12'],
    ['a broken chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n'],
    ['a bare LF', 'HTTP/1.1 200 OK\nContent-Length: 1\r\n\r\n1'],
    ['a folded field', 'HTTP/1.1 200 OK\r\nx: a\r\n b\r\n\r\n'],
    ['two lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1'],
    ['length and chunked', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1'],
    ['an upgrade nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['another protocol', 'SSH-2.0-OpenSSH_9.2p1 and more\r\n'],
    ['interim answers without end', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(20)],
  ])('and sends %s is answered for with 502', async (_, answer) => {
    const { port } = await rig.relay((await answering(answer)).port);

    const text = await rig.exchange(port, request);

    expect(text).toContain('HTTP/1.1 502 Bad Gateway');
    expect(text).toContain('x-roundhouse-reason: upstream-protocol');
  });

  it('and hangs up without a word is answered for with 502, and not asked again', async () => {
    let accepted = 0;
    const upstream = await rig.net((socket) => {
      accepted++;
      socket.once('data', () => socket.destroy());
    });
    const { port } = await rig.relay(upstream.port);

    expect(await rig.exchange(port, request)).toContain('x-roundhouse-reason: upstream-reset');
    expect(accepted).toBe(1);
  });

  it('and cannot be reached is not the last word: the picker is asked again', async () => {
    const good = await answering('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
    const failures: Failure[] = [];
    const { relay, port } = await rig.relay(1, {
      pick: (_, { attempt }) => (attempt < 2 ? bad : other),
      onFailure: (_, failure) => failures.push(failure),
    });
    const bad = relay.upstream({ host: '127.0.0.1', port: 1 });
    const other = relay.upstream({ host: '127.0.0.1', port: good.port });

    expect(await rig.exchange(port, request)).toMatch(/^HTTP\/1.1 200.*ok$/s);
    expect(failures).toEqual(['connect', 'connect']);
    expect([bad.inFlight, other.inFlight]).toEqual([0, 0]);
  });

  it('and closed its idle connection meanwhile is asked again on a new one', async () => {
    let requests = 0;
    const upstream = await rig.net((socket) => {
      socket.on('data', () => {
        requests++;
        if (requests === 2) return socket.resetAndDestroy();
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok');
      });
    });
    const { port } = await rig.relay(upstream.port);
    const client = await rig.client(port);

    client.send(post('/v1/models/a:predict', ['Content-Length: 0'], ''));
    await until(() => client.text.endsWith('ok'));
    client.send(request);
    await until(() => client.closed);

    expect(client.text.match(/200 OK/g)).toHaveLength(2);
    expect(requests).toBe(3);
  });

  it('and says "not here" gives way to another with the same request, or is passed on unmarked', async () => {
    const gone = await rig.http((_, res) => res.writeHead(404, { 'X-Roundhouse-Not-Here': '1' }).end('gone'));
    const there = await rig.http((req, res) => req.pipe(res));
    const { relay, port } = await rig.relay(gone.port, {
      pick: (_, { attempt, tried }) => (attempt === 0 ? first : tried[0] === first ? second : first),
      elsewhere: () => believed,
    });
    let believed = true;
    const first = relay.upstream({ host: '127.0.0.1', port: gone.port });
    const second = relay.upstream({ host: '127.0.0.1', port: there.port });

    expect(await rig.exchange(port, request)).toMatch(/200 OK.*\{\}/s);

    believed = false;
    const passedOn = await rig.exchange(port, request);

    expect(passedOn).toMatch(/^HTTP\/1.1 404.*gone/s);
    expect(passedOn.toLowerCase()).not.toContain('not-here');
  });

  it('and says "not here" is passed on when the body is too large to be kept', async () => {
    const upstream = await rig.net((socket) => {
      let size = 0;
      socket.on('data', (chunk) => {
        size += chunk.length;
        if (size > 100_000)
          socket.write('HTTP/1.1 404 Not Found\r\nX-Roundhouse-Not-Here: 1\r\nContent-Length: 0\r\n\r\n');
      });
    });
    const { port } = await rig.relay(upstream.port, { elsewhere: () => true });

    const large = post('/v1/models/a:predict', ['Content-Length: 100000', 'Connection: close'], 'x'.repeat(100_000));

    expect(await rig.exchange(port, large)).toContain('HTTP/1.1 404');
  });

  it('and does not answer in time is given up', async () => {
    const clock = stepClock();
    const upstream = await rig.net((socket) => socket.resume());
    const { port, upstream: target } = await rig.relay(upstream.port, { clock, limits: { responseTimeoutMs: 5_000 } });
    const client = await rig.client(port);

    client.send(request);
    await until(() => upstream.sockets.size === 1 && target.inFlight === 1);
    await until(() => {
      clock.advance(1_000);
      return client.closed;
    });

    expect(client.text).toContain('HTTP/1.1 504 Gateway Timeout');
    await until(() => upstream.sockets.size === 0);
  });
});

describe('a client', () => {
  it('that goes away takes its upstream connection with it', async () => {
    const outcomes: (string | undefined)[] = [];
    const upstream = await rig.net((socket) => socket.resume());
    const { port, upstream: target } = await rig.relay(upstream.port, {
      onDone: ({ reason }) => outcomes.push(reason),
    });
    const client = await rig.client(port);
    client.send(request);
    await until(() => target.inFlight === 1 && upstream.sockets.size === 1);

    client.socket.destroy();
    await until(() => upstream.sockets.size === 0);

    expect([outcomes, target.inFlight]).toEqual([['client-gone'], 0]);
  });

  it.each<[string, string, Partial<RelayOptions>]>([
    ['while it waits', request, { pick: () => 'parked' }],
    ['with a body on its way', post('/v1/models/a:predict', ['Content-Length: 9'], 'x'), {}],
    [
      'while it waits with a body on its way',
      post('/v1/models/a:predict', ['Content-Length: 9'], 'x'),
      { pick: () => 'parked' },
    ],
    ['with requests sent ahead', request + request + request, {}],
    ['in the middle of an answer', request.replace('/a:', '/long:'), {}],
    ['in the middle of an answer, with requests sent ahead', request.replace('/a:', '/long:') + request, {}],
  ])('that goes away %s frees everything within a second', async (_, text, options) => {
    const outcomes: (string | undefined)[] = [];
    const upstream = await rig.net((socket) =>
      socket.on('data', (chunk) => {
        if (chunk.includes('long')) socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n');
      }),
    );
    const {
      port,
      upstream: target,
      relay,
    } = await rig.relay(upstream.port, {
      ...options,
      onDone: ({ reason }) => outcomes.push(reason),
    });
    const client = await rig.client(port);
    client.send(text);
    const isUnderWay = () =>
      text.includes('long') ? client.text.includes('abc') : relay.stats.parked + upstream.sockets.size === 1;
    await until(isUnderWay);

    const goneMs = performance.now();
    client.socket.destroy();
    await until(
      () =>
        relay.stats.connections === 0 &&
        relay.stats.parked === 0 &&
        target.inFlight === 0 &&
        upstream.sockets.size === 0,
    );

    expect(performance.now() - goneMs).toBeLessThan(1_000);
    expect(outcomes).toEqual(['client-gone']);
  });

  it.each([
    ['closes', 'waits for a replica', (socket: Socket) => socket.end()],
    ['resets', 'waits for a replica', (socket: Socket) => socket.resetAndDestroy()],
    ['resets', 'is not taken by its server', (socket: Socket) => socket.resetAndDestroy()],
  ])('are freed when a client %s whose body, too large to hold, %s', async (_, where, leave) => {
    const isTaken = where !== 'waits for a replica';
    const outcomes: unknown[] = [];
    const stuck = await rig.net((socket) => socket.pause());
    const { port, relay } = await rig.relay(stuck.port, {
      ...(!isTaken && { pick: () => 'parked' }),
      onDone: ({ reason }) => void outcomes.push(reason),
    });
    const client = await rig.client(port);
    client.send(`POST /v1/models/a:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n`);
    // More than is held, and little enough for the kernel to take: the end lies behind what nobody reads.
    client.send(Buffer.alloc(isTaken ? 4_000_000 : 128 * 1024));
    if (!isTaken) await until(() => client.socket.writableLength === 0 && relay.stats.parked === 1);
    else await until(() => stuck.sockets.size === 1);

    leave(client.socket);
    await until(() => relay.stats.connections === 0); // long before the 30 s for which it may wait

    expect(outcomes).toEqual(['client-gone']);
  });

  it.each([
    ['a head', 'POST /v2 HT', 'the request head did not arrive in time'],
    ['a body', post('/v1/models/a:predict', ['Content-Length: 9'], 'x'), 'the request body did not arrive in time'],
  ])('that does not finish %s is told so', async (_, text, message) => {
    const clock = stepClock();
    const upstream = await rig.net((socket) => socket.resume());
    const { port, relay } = await rig.relay(upstream.port, { clock });
    const client = await rig.client(port);

    client.send(text);
    await until(() => relay.stats.connections === 1);
    await until(() => {
      clock.advance(1_000);
      return client.closed;
    });

    expect(client.text).toContain('HTTP/1.1 408 Request Timeout');
    expect(client.text).toContain(message);
  });

  it('that says nothing is let go', async () => {
    const clock = stepClock();
    const { port, relay } = await rig.relay(1, { clock });
    const client = await rig.client(port);
    await until(() => relay.stats.connections === 1);

    await until(() => {
      clock.advance(1_000);
      return client.closed;
    });

    expect(client.text).toBe('');
  });
});

describe('a parked request', () => {
  const parking = (answers: (Answer | undefined)[] = []) => {
    const parked: Exchange[] = [];
    const pick = (_: unknown, exchange: Exchange): Answer => {
      const answer = answers.shift();
      if (answer !== undefined) return answer;
      parked.push(exchange);
      return 'parked';
    };
    return { parked, pick };
  };

  it('goes on as if nothing had been, body and all', async () => {
    const upstream = await rig.http((req, res) => req.pipe(res));
    const { parked, pick } = parking();
    const { port, upstream: target } = await rig.relay(upstream.port, { pick });
    const client = await rig.client(port);

    client.send(post('/v1/models/a:predict', ['Content-Length: 6', 'Connection: close'], 'abc'));
    await until(() => parked.length === 1);
    client.send('def');
    const others = rig.exchange(port, 'GET /nowhere HTTP/1.1\r\nHost: b\r\nConnection: close\r\n\r\n');
    await others; // the shared head holds another request by now
    parked[0]!.resume(target);
    await until(() => client.closed);

    expect(client.text).toMatch(/200 OK.*abcdef/s);
  });

  it('is refused when too many wait, when it waits too long, and forgotten when its client goes', async () => {
    const clock = stepClock();
    const { parked, pick } = parking();
    const { port, relay } = await rig.relay(1, { clock, pick, limits: { parkedMax: 2, parkedMs: 30_000 } });
    const [one, two] = [await rig.client(port), await rig.client(port)];
    one.send(request);
    two.send(request);
    await until(() => parked.length === 2);

    const third = await rig.exchange(port, request);
    two.socket.destroy();
    await until(() => relay.stats.parked === 1);
    clock.advance(31_000);
    await until(() => one.closed);

    expect(third).toMatch(/503.*x-roundhouse-reason: overloaded\r\nretry-after: 1/s);
    expect(one.text).toMatch(/503.*x-roundhouse-reason: no-replica\r\nretry-after: 1/s);
    expect(relay.stats.parked).toBe(0);
  });

  it('does nothing when it is resumed too late', async () => {
    const { parked, pick } = parking();
    const { port, relay } = await rig.relay(1, { pick });
    const client = await rig.client(port);
    client.send(request);
    await until(() => parked.length === 1);

    client.socket.destroy();
    await until(() => relay.stats.connections === 0);

    expect(() => parked[0]!.resume()).not.toThrow();
  });
});

describe('close', () => {
  it('lets requests in flight finish and idle connections go', async () => {
    let finish: (() => void) | undefined;
    const upstream = await rig.http((_, res) => {
      finish = () => res.end('done');
    });
    const { port, relay, upstream: target } = await rig.relay(upstream.port);
    const [idle, busy] = [await rig.client(port), await rig.client(port)];
    busy.send(post('/v1/models/a:predict', ['Content-Length: 0'], ''));
    await until(() => finish !== undefined && target.inFlight === 1 && relay.stats.connections === 2);

    const closed = relay.close(new AbortController().signal);
    await until(() => idle.closed);
    expect(busy.closed).toBe(false);
    finish?.();
    await closed;

    expect(busy.text).toMatch(/connection: close.*done$/s);
  });

  it('answers what was on its way to an idle connection, and says that it closes', async () => {
    const upstream = await rig.http((_, res) => res.end('done'));
    const { port, relay } = await rig.relay(upstream.port);
    const client = await rig.client(port);
    await until(() => relay.stats.connections === 1);

    const closed = relay.close(new AbortController().signal);
    client.send(request);
    await closed;
    await until(() => client.closed);

    expect(client.text).toMatch(/^HTTP\/1.1 200 .*connection: close.*done$/s);
  });

  it('cuts off what is left when its signal aborts', async () => {
    const upstream = await rig.net((socket) => socket.resume());
    const { port, relay, upstream: target } = await rig.relay(upstream.port);
    const client = await rig.client(port);
    client.send(request);
    await until(() => target.inFlight === 1);

    await relay.close(AbortSignal.timeout(50));
    await until(() => client.closed);

    expect(target.inFlight).toBe(0);
  });
});
