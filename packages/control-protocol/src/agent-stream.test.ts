import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AgentSession, AssignedModelFields } from './agent-session.ts';
import { ModelState } from './gen/control_pb.js';
import type { AssignmentView } from './index.ts';
import { aModel, createRig, type Rig, until } from './testing/rig.ts';

describe('attachAgent and serveControl', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await createRig();
  });
  afterEach(() => rig.close());

  it('reports what is loaded and is told what to hold', async () => {
    await rig.serve();
    const views: AssignmentView[] = [];
    const { stream } = rig.agent({ onAssignment: (view) => views.push(view) });
    stream.report([{ name: 'a', state: ModelState.LOADED }], []);
    await until(() => rig.sessions[0]?.reported === true);
    const session = rig.sessions[0]!;
    session.assign([aModel('a'), aModel('b')], []);
    await until(() => session.acknowledged);
    session.assign([], ['a']);
    await until(() => session.acknowledged);
    stream.report([], ['a']);
    await until(() => !session.reports.has('a'));

    expect(session.hello).toMatchObject({ namespace: 'default', podUid: 'u' });
    expect(views.map(({ changed, removed }) => ({ changed, removed }))).toEqual([
      { changed: ['a', 'b'], removed: [] },
      { changed: [], removed: ['a'] },
    ]);
    expect([...views[0]!.models.keys()]).toEqual(['b']);
  });

  it('beats with the traffic since the last beat, and says at once when the server or the pod goes', async () => {
    const beats: { requests: number; ready: boolean; draining: boolean }[] = [];
    await rig.serve({
      onAgent: (session) =>
        session.onHeartbeat(({ traffic, serverReady, draining }) =>
          beats.push({ requests: Number(traffic[0]?.requests ?? 0), ready: serverReady, draining }),
        ),
    });
    const traffic = [{ name: 'a', requests: 3, errors: 1 }];
    const { stream } = rig.agent({ traffic: () => (beats.length === 0 ? [] : traffic.splice(0)) });
    await until(() => beats.length === 1);
    stream.serverReady(true);
    await until(() => beats.length === 2);
    stream.draining();
    await until(() => beats.length >= 4);

    expect(beats.slice(1)).toMatchObject([
      { requests: 3, ready: true, draining: false },
      { requests: 0, ready: true, draining: true },
      { requests: 0, ready: true, draining: true },
    ]);
  });

  it('is back soon after a restart of the controller, with every report, and nothing seems changed to it', async () => {
    const wanted = [aModel('a'), aModel('b')];
    const onAgent = (session: AgentSession) => {
      rig.sessions.push(session);
      session.replaceAssignment(wanted);
    };
    const first = await rig.serve({ onAgent });
    const views: AssignmentView[] = [];
    let attempts = 0;
    const connection = { ...rig.connection(), ca: () => Promise.resolve(++attempts).then(() => rig.authority.ca) };
    const { stream } = rig.agent({ connection, onAssignment: (view) => views.push(view) });
    stream.report([{ name: 'a' }, { name: 'b' }], []);
    await until(() => rig.sessions[0]?.reports.size === 2 && rig.sessions[0].acknowledged);
    await first.close();
    await until(() => !stream.connected);
    stream.report([{ name: 'c' }], ['a']);
    await until(() => attempts > 5);
    await rig.serve({ onAgent, epoch: 2 });
    const startedMs = performance.now();
    await until(() => rig.sessions[1]?.reported === true && rig.sessions[1].acknowledged);

    expect(performance.now() - startedMs).toBeLessThan(600); // 250 ms of back-off, a handshake, and a busy machine
    expect([...rig.sessions[1]!.reports.keys()]).toEqual(['b', 'c']);
    expect(views.at(-1)).toMatchObject({ changed: [], removed: [] });
  });

  it('exchanges 5,000 models in both directions', async () => {
    await rig.serve();
    const names = Array.from({ length: 5_000 }, (_, index) => `${'n'.repeat(200)}-${index}`);
    const held: AssignmentView[] = [];
    const { stream } = rig.agent({ onAssignment: (view) => held.push(view) });
    stream.report(
      names.map((name) => ({ name, failure: { message: 'm'.repeat(300) } })),
      [],
    );
    await until(() => rig.sessions[0]?.reported === true);
    const [session] = rig.sessions;
    session!.assign(
      names.map((name) => aModel(name)),
      [],
    );
    await until(() => session!.acknowledged);

    expect(session!.reports.size).toBe(5_000);
    expect(held.at(-1)?.models.size).toBe(5_000);
    expect(held.length).toBe(1); // a snapshot takes effect as a whole
  });

  it('closes the older stream of a pod that comes again', async () => {
    await rig.serve();
    rig.agent();
    await until(() => rig.sessions.length === 1);
    const reasons: string[] = [];
    rig.sessions[0]!.onClose((reason) => reasons.push(reason));
    rig.agent();
    await until(() => reasons.length === 1);

    expect(reasons[0]).toMatch('replaced by a newer stream');
  });

  it('has the same view as the controller after any interleaving of changes and disconnects', {
    timeout: 60_000,
  }, async () => {
    await rig.serve({
      onAgent(session) {
        rig.sessions.push(session);
        session.replaceAssignment([...truth.values()]);
      },
    });
    const truth = new Map<string, AssignedModelFields>();
    let view: AssignmentView | undefined;
    const { stream } = rig.agent({
      onAssignment(next) {
        view = next;
      },
    });
    const reports = new Set<string>();
    await until(() => rig.sessions.length > 0);

    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      {
        weight: 4,
        arbitrary: fc.record({ kind: fc.constantFrom('assign', 'remove', 'report', 'gone'), name, version: fc.nat(3) }),
      },
      { weight: 1, arbitrary: fc.record({ kind: fc.constantFrom('disconnect', 'wait'), name, version: fc.nat(3) }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
        for (const action of steps) {
          const session = rig.sessions.at(-1)!;
          if (action.kind === 'assign') {
            const model = aModel(action.name, action.version);
            truth.set(model.name, model);
            session.assign([model], []);
          } else if (action.kind === 'remove') {
            truth.delete(action.name);
            session.assign([], [action.name]);
          } else if (action.kind === 'report') {
            reports.add(action.name);
            stream.report([{ name: action.name }], []);
          } else if (action.kind === 'gone') {
            reports.delete(action.name);
            stream.report([], [action.name]);
          } else if (action.kind === 'disconnect') session.close('by the test');
          else await new Promise((resolve) => setImmediate(resolve));
        }
        const digests = (models: Iterable<{ digest?: string }>) => [...models].map(({ digest }) => digest).sort();
        const keys = (names: Iterable<string>) => [...names].sort().join();
        const isSame = () => {
          const session = rig.sessions.at(-1)!;
          const held = digests(view?.models.values() ?? []).join();
          return (
            held === digests(truth.values()).join() &&
            keys(session.reports.keys()) === keys(reports) &&
            stream.connected
          );
        };
        await until(isSame);
      }),
      { numRuns: 25 },
    );
  });
});
