import { Client, credentials, Metadata, Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { systemClock } from '@roundhouse/base';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { attachMethod } from './codec.ts';
import type { AgentMessage } from './gen/control_pb.js';
import { createAuthority } from './testing/certificates.ts';
import { createRig, type Rig, serverName, until } from './testing/rig.ts';

const tokenThat = (expiresMs: number) =>
  `h.${Buffer.from(JSON.stringify({ exp: expiresMs / 1000 })).toString('base64url')}.s`;

describe('who may speak', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await createRig();
  });
  afterEach(() => rig.close());

  /** A peer that says what it is told to, and the status that its stream ends with. */
  function rawPeer(body: object, token?: string): Promise<{ readonly code: number; readonly details: string }> {
    const client = new Client(`127.0.0.1:${rig.port}`, credentials.createSsl(Buffer.from(rig.authority.ca)), {
      'grpc.ssl_target_name_override': serverName,
    });
    const metadata = new Metadata();
    if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
    const { path, requestSerialize, responseDeserialize } = attachMethod;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    call.on('data', () => {});
    call.on('error', () => {});
    call.write({ body: body as never });
    return new Promise((resolve) => call.on('status', resolve)).finally(() => client.close()) as never;
  }
  const hello = { case: 'hello', value: { podUid: 'raw' } };

  it('refuses a wrong token with the reason, and lets the agent in when the token is right', async () => {
    let token = 'wrong';
    await rig.serve({
      async authenticateAgent(presented, { podName }) {
        if (presented !== 'right') throw new Error(`the token is not one of pod ${podName}`);
      },
    });
    const { stream } = rig.agent({ connection: rig.connection(() => token) });
    await until(() => rig.lines.some((line) => line.includes('the token is not one of pod p')));
    const before = { connected: stream.connected, sessions: rig.sessions.length };
    token = 'right';
    await until(() => stream.connected);

    expect(before).toEqual({ connected: false, sessions: 0 });
  });

  it('checks a renewed token within the stream, and ends the stream when it is refused', async () => {
    let token = 'first';
    const seen: string[] = [];
    await rig.serve({
      async authenticateAgent(presented) {
        if (presented === 'stolen') throw new Error('not yours');
        seen.push(presented);
      },
    });
    rig.agent({ connection: rig.connection(() => token) });
    await until(() => rig.sessions.length === 1);
    const reasons: string[] = [];
    rig.sessions[0]!.onClose((reason) => reasons.push(reason));
    token = 'second';
    await until(() => seen.includes('second'));
    token = 'stolen';
    await until(() => reasons.length === 1);

    expect(seen).toEqual(['first', 'second']);
    expect(rig.sessions.length).toBe(1);
    expect(reasons).toEqual(['not yours']);
  });

  it('ends a stream whose token has expired', async () => {
    await rig.serve();

    expect(await rawPeer(hello, tokenThat(Date.now() - 59_900))).toMatchObject({
      details: expect.stringContaining('the token has expired'),
    });
  });

  it('lets a stream live on when its token was renewed in time', async () => {
    let token = tokenThat(Date.now() - 58_000);
    let beats = 0;
    await rig.serve({
      heartbeatMs: 400,
      onAgent(session) {
        rig.sessions.push(session);
        session.onHeartbeat(() => beats++);
      },
    });
    const { stream } = rig.agent({ connection: rig.connection(() => token) });
    await until(() => stream.connected);
    token = tokenThat(Date.now() + 3_600_000);
    await until(() => beats > 6); // beyond the first one's grace

    expect(rig.sessions.length).toBe(1);
    expect(stream.connected).toBe(true);
  });

  it.each([
    ['says something before hello', { case: 'heartbeat', value: {} }, 't', 'the first message must be a hello'],
    ['has no token', hello, undefined, 'no bearer token in the metadata'],
    ['falls silent', hello, 't', 'nothing heard for 300 ms'],
    ['has seen a later leader', { case: 'hello', value: { epoch: 7n } }, 't', 'epoch 1 is over: the peer has seen 7'],
  ])('ends the stream of a peer that %s', async (_, body, token, details) => {
    await rig.serve({ heartbeatMs: 100 });

    expect(await rawPeer(body, token)).toMatchObject({ details });
  });

  it('gives up on a token review that does not answer', async () => {
    const hurried = { ...systemClock, after: (ms: number, then: () => void) => systemClock.after(ms / 100, then) };
    await rig.serve({ authenticateAgent: () => new Promise(() => {}) }, hurried);

    expect(await rawPeer(hello, 't')).toMatchObject({ details: 'no hello, or no answer, in time' });
  });

  it('follows no leader whose time is over', async () => {
    const first = await rig.serve({ epoch: 5 });
    const { stream } = rig.agent();
    await until(() => stream.connected);
    await first.close();
    const deposed = await rig.serve({ epoch: 4 });
    await until(() => rig.lines.some((line) => line.includes('epoch 4 is over: the peer has seen 5')));
    const sessions = rig.sessions.length;
    await deposed.close();
    await rig.serve({ epoch: 6 });
    await until(() => rig.sessions.length === 2);

    expect(sessions).toBe(1);
    expect(rig.sessions[1]!.hello.epoch).toBe(5n);
  });

  it('hangs up on a leader whose epoch goes back', async () => {
    const server = new Server();
    const endings: string[] = [];
    const attach = (call: ServerDuplexStream<AgentMessage, unknown>) => {
      call.on('data', () => {});
      call.on('cancelled', () => endings.push('cancelled'));
      call.write({ epoch: 5n, body: { case: 'welcome', value: { heartbeatMs: 100 } } });
      call.write({ epoch: 4n, body: { case: 'assignment', value: { revision: { revision: 1n, snapshot: true } } } });
    };
    server.addService({ attach: attachMethod }, { attach });
    const { cert, key } = await rig.authority.issue(serverName);
    const pair = { cert_chain: Buffer.from(cert), private_key: Buffer.from(key) };
    rig.port = await new Promise<number>((resolve) =>
      server.bindAsync('127.0.0.1:0', ServerCredentials.createSsl(null, [pair]), (_, port) => resolve(port)),
    );
    const assignments: unknown[] = [];
    const { stop } = rig.agent({ onAssignment: (view) => assignments.push(view) });
    await until(() => endings.length > 0);
    await stop();
    server.forceShutdown();

    expect(assignments).toEqual([]);
    expect(rig.lines.join()).toContain('epoch 4 is over: 5 was seen');
  });

  it('uses a new certificate without a restart', async () => {
    const other = await createAuthority();
    const certificates = [await rig.authority.issue(serverName), await other.issue(serverName)];
    let current = certificates[0]!;
    const hurried = { ...systemClock, after: (ms: number, then: () => void) => systemClock.after(ms / 100, then) };
    await rig.serve({ tls: () => current, heartbeatMs: 60_000 }, hurried);
    rig.agent();
    await until(() => rig.sessions.length === 1);
    current = certificates[1]!;
    const connection = { ...rig.connection(), ca: async () => other.ca };
    const { stream } = rig.agent({ connection, hello: () => ({ podUid: 'another' }) });
    await until(() => stream.connected);

    expect(rig.sessions.length).toBe(2);
  });
});
