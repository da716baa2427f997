import { systemClock } from '@roundhouse/base';
import {
  type AgentSession,
  attachAgent,
  createRouteBoard,
  openRoutes,
  serveControl,
  wire,
} from '@roundhouse/control-protocol';
import { silentLog } from '@roundhouse/telemetry';
import { stepClock } from '@roundhouse/testkit';
import { describe, expect, it, vi } from 'vitest';
import { renewed, trusted } from './tls.ts';

const hourMs = 60 * 60 * 1000;
const serverName = 'roundhouse-control.roundhouse-system.svc';

const until = (holds: () => boolean) =>
  vi.waitFor(() => expect(holds(), String(holds)).toBe(true), { timeout: 10_000, interval: 2 });

/** A controller's end that can go away and come back at the same port. */
async function startControl() {
  const certificates = await renewed(undefined, [serverName], systemClock);
  const board = createRouteBoard({ clock: systemClock });
  const sessions: AgentSession[] = [];
  const serve = (epoch: number, port: number) =>
    serveControl(
      { clock: systemClock, log: silentLog },
      {
        listen: { host: '127.0.0.1', port },
        tls: () => ({ cert: certificates.certificate, key: certificates.key }),
        epoch,
        version: '0.1.0',
        heartbeatMs: 60_000, // the peers' clocks stand still
        authenticateAgent: async () => {},
        authenticateRouter: async () => {},
        onAgent: (session) => void sessions.push(session),
        onRouter: (session) => board.attach(session),
      },
    );
  return { board, sessions, serve, ca: trusted(certificates, systemClock) };
}

/** A controller that is away for days: agents and routers go on with what they know, and are back when it is. */
describe('peers whose controller is away', () => {
  it('keep what they know for three days, never give up, and come back', { timeout: 30_000 }, async () => {
    const { board, sessions, serve, ca } = await startControl();
    const server = await serve(1, 0);
    board.publish({ services: [{ key: 's', hosts: ['h'] }], replicas: [{ id: 'r', service: 's' }] });
    board.publish({
      models: [{ service: 's', name: 'm', copies: [{ replica: 'r', residency: wire.Residency.WARM }] }],
    });
    const clock = stepClock(Date.now());
    const stop = new AbortController();
    let attempts = 0;
    const connection = {
      address: `127.0.0.1:${server.port}`,
      serverName,
      ca: async () => ca,
      async token() {
        attempts++;
        return 'token';
      },
    };
    const deps = { clock, random: () => 0.5, log: silentLog };
    const updates: boolean[] = [];
    const assignments: number[] = [];
    const router = openRoutes(deps, {
      connection,
      hello: () => ({ version: '0.1.0', instance: 'router' }),
      apply: ({ snapshot }) => void updates.push(snapshot),
    });
    const agent = attachAgent(deps, {
      connection,
      hello: () => ({ version: '0.1.0', instance: 'i', namespace: 'd', service: 's', podName: 'p', podUid: 'u' }),
      traffic: () => [],
      onAssignment: ({ models }) => void assignments.push(models.size),
    });
    const running = Promise.all([router.run(stop.signal), agent.run(stop.signal)]);
    await until(() => updates.length > 0 && sessions.length === 1);
    const told = [updates.length, assignments.length];

    await server.close();
    await until(() => !router.connected && !agent.connected);
    const awayMs = clock.monotonic();
    while (clock.monotonic() < awayMs + 72 * hourMs) {
      const before = attempts;
      clock.advance(hourMs);
      // An attempt that was under way may end first, and the next one needs time to move on.
      await until(() => attempts > before || clock.pending > 1);
    }
    expect(attempts).toBeGreaterThan(72);
    expect([updates.length, assignments.length]).toEqual(told); // nothing was taken away meanwhile

    const next = await serve(2, server.port);
    while (!(router.connected && agent.connected)) {
      clock.advance(1_000);
      await new Promise(setImmediate);
    }
    await until(() => updates.length > told[0]!);
    expect(updates.at(-1)).toBe(true);
    expect(sessions).toHaveLength(2);
    stop.abort();
    await running.catch(() => {});
    await next.close();
  });
});
