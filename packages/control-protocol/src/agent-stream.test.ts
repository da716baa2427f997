import { afterEach, beforeEach, describe, expect, it } from 'vitest';
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
});
