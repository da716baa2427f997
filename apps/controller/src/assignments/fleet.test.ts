import { wire } from '@roundhouse/control-protocol';
import { stepClock } from '@roundhouse/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createPublisher } from '../routes/publisher.ts';
import { aBoard, aModel, aReplica, aView } from '../testing/builders.ts';
import type { Report } from './copy.ts';
import { createFleet } from './fleet.ts';

const turn = () => new Promise(setImmediate);

function start() {
  const { board, changes, hold } = aBoard();
  const clock = stepClock();
  const released: string[] = [];
  const statuses = new Set<string>();
  const fleet = createFleet({
    clock,
    routes: createPublisher(board),
    onStatus: (key) => statuses.add(key),
    onOwn: () => {},
    onModels: () => {},
    onReleased: (key) => released.push(key),
  });
  const service = fleet.serviceOf('default', 'shared');
  const set = (model: ReturnType<typeof aModel>) => fleet.setModel(model.key, model);
  return { fleet, service, set, board, changes, hold, clock, released, statuses };
}

const report = (name: string, state: wire.ModelState, digest = ''): Report => ({
  name,
  state,
  digest,
  servingDigest: state === wire.ModelState.LOADED ? digest : '',
  memoryBytes: 0n,
});

describe('the fleet', () => {
  it('assigns a model to every replica in the turn in which it appears', () => {
    const { fleet, set } = start();
    const [one, two] = [aReplica('one'), aReplica('two')];
    fleet.setService('default', 'shared', aView());
    fleet.attach(one.replica);
    fleet.attach(two.replica);

    set(aModel('iris'));

    expect([...one.assigned.keys(), ...two.assigned.keys()]).toEqual(['iris', 'iris']);
  });

  it('gives a replica that connects all that the service holds', () => {
    const { fleet, set } = start();
    fleet.setService('default', 'shared', aView());
    set(aModel('a'));
    set(aModel('b'));
    const { replica, assigned } = aReplica();

    fleet.attach(replica);

    expect([...assigned.keys()]).toEqual(['a', 'b']);
  });

  it('adopts a model that came before its service', () => {
    const { fleet, service, set } = start();
    const { replica, assigned } = aReplica();
    set(aModel('early'));
    fleet.attach(replica);
    expect(assigned.size).toBe(0);

    fleet.setService('default', 'shared', aView());

    expect(service.holdings.get('early')?.stage).toBe('held');
    expect([...assigned.keys()]).toEqual(['early']);
  });

  it.each([
    ['a framework that the runtime does not serve', aModel('m', { framework: 'abacus' }), aView()],
    ['a parent of one model', aModel('m'), aView({ multiModel: false })],
    ['an invalid spec', aModel('m', { memory: '-1' }), aView()],
    ['more memory than there is', aModel('m', { memory: '2Gi' }), aView({ capacityBytes: 2 ** 30 })],
  ])('asks no replica to hold a model with %s', (_, model, view) => {
    const { fleet, set } = start();
    const { replica, assigned } = aReplica();
    fleet.setService('default', 'shared', view);
    fleet.attach(replica);

    set(model);

    expect(assigned.size).toBe(0);
    expect(fleet.copiesOf(fleet.serviceOf('default', 'shared'), 'm')).toEqual([]);
  });

  it('tells routers first, then replicas, and lets go when all have unloaded', async () => {
    const { fleet, set, changes, hold, released } = start();
    const { replica, reports, assigned } = aReplica();
    fleet.setService('default', 'shared', aView());
    fleet.attach(replica);
    const model = aModel('iris');
    set(model);
    reports.set('iris', report('iris', wire.ModelState.LOADED, model.assignment.digest));
    fleet.reported(fleet.serviceOf('default', 'shared'), 'iris');
    const acknowledge = hold();

    set(aModel('iris', { deleting: true }));
    await turn();
    expect(changes.at(-1)).toEqual({ removedModels: [{ service: 'default/shared', name: 'iris' }] });
    expect([...assigned.keys()]).toEqual(['iris']);

    acknowledge();
    await turn();
    expect([...assigned.keys()]).toEqual([]);
    expect(released).toEqual([]);

    reports.delete('iris');
    fleet.reported(fleet.serviceOf('default', 'shared'), 'iris');

    expect(released).toEqual(['default/iris']);
  });

  it('waits no longer than its deadline for a replica that says nothing', async () => {
    const { fleet, set, clock, released } = start();
    const { replica, reports } = aReplica();
    fleet.setService('default', 'shared', aView());
    fleet.attach(replica);
    set(aModel('iris'));
    reports.set('iris', report('iris', wire.ModelState.LOADING));
    set(aModel('iris', { deleting: true }));
    await turn();

    clock.advance(60_000);

    expect(released).toEqual(['default/iris']);
  });

  it('counts a pod that is gone as unloaded', async () => {
    const { fleet, set, service, released } = start();
    const { replica, reports } = aReplica();
    fleet.setService('default', 'shared', aView());
    fleet.attach(replica);
    set(aModel('iris'));
    reports.set('iris', report('iris', wire.ModelState.LOADED));
    set(aModel('iris', { deleting: true }));
    await turn();

    fleet.remove(service, replica.id);

    expect(released).toEqual(['default/iris']);
  });

  it('admits who waits, oldest first, once room is really free', async () => {
    const { fleet, set, service } = start();
    const { replica, reports, assigned } = aReplica();
    fleet.setService('default', 'shared', aView({ capacityBytes: 2 ** 20 }));
    fleet.attach(replica);
    set(aModel('first'));
    set(aModel('younger', { createdAt: '2026-01-03T00:00:00Z' }));
    set(aModel('older', { createdAt: '2026-01-02T00:00:00Z' }));
    reports.set('first', report('first', wire.ModelState.LOADED));
    expect([...service.waiting]).toEqual(['younger', 'older']);

    set(aModel('first', { deleting: true }));
    await turn();
    expect([...assigned.keys()]).toEqual([]);
    reports.delete('first');
    fleet.reported(service, 'first');

    expect([...assigned.keys()]).toEqual(['older']);
    expect([...service.waiting]).toEqual(['younger']);
  });

  it('keeps after a restart who had a place before', () => {
    const { fleet, set, service } = start();
    set(aModel('older', { createdAt: '2026-01-01T00:00:00Z' }));
    set(aModel('placed', { createdAt: '2026-01-02T00:00:00Z', allocated: true }));

    fleet.setService('default', 'shared', aView({ capacityBytes: 2 ** 20 }));

    expect([...service.holdings.keys()]).toEqual(['placed']);
  });

  it('sends a changed model on, and nothing when nothing changed', () => {
    const { fleet, set } = start();
    const { replica, assigned } = aReplica();
    fleet.setService('default', 'shared', aView());
    fleet.attach(replica);
    set(aModel('iris'));
    const before = assigned.get('iris');
    assigned.clear();
    set(aModel('iris'));
    expect(assigned.size).toBe(0);

    set(aModel('iris', { uri: 's3://bucket/other' }));

    expect(assigned.get('iris')).not.toBe(before);
    expect(assigned.size).toBe(1);
  });

  it('moves a model whose parent changed', async () => {
    const { fleet, set } = start();
    const { replica, assigned } = aReplica();
    fleet.setService('default', 'shared', aView());
    fleet.setService('default', 'other', aView());
    fleet.attach(replica);
    set(aModel('iris'));

    set(aModel('iris', { parent: 'other' }));
    await turn();

    expect([...assigned.keys()]).toEqual([]);
    expect([...fleet.serviceOf('default', 'other').holdings.keys()]).toEqual(['iris']);
  });

  it('routes to copies that answer, and holds requests for those that will', () => {
    const { fleet, set, service, changes } = start();
    const { replica, reports } = aReplica();
    fleet.setService('default', 'shared', aView());
    fleet.attach(replica);
    const model = aModel('iris');
    set(model);
    const copies = (residency: wire.Residency) => [
      { service: 'default/shared', name: 'iris', copies: [{ replica: replica.id, residency }] },
    ];
    expect(changes.at(-1)?.models).toEqual(copies(wire.Residency.COLD));

    reports.set('iris', report('iris', wire.ModelState.LOADED, model.assignment.digest));
    fleet.reported(service, 'iris');
    expect(changes.at(-1)?.models).toEqual(copies(wire.Residency.WARM));

    const published = changes.length;
    fleet.reported(service, 'iris');
    expect(changes.length).toBe(published);
    reports.set('iris', report('iris', wire.ModelState.LOAD_FAILED));
    fleet.reported(service, 'iris');
    expect(changes.at(-1)?.models).toEqual([{ service: 'default/shared', name: 'iris', copies: [] }]);
  });

  it('forgets everything about what is gone', async () => {
    const { fleet, set, service } = start();
    const { replica } = aReplica();
    fleet.setService('default', 'shared', aView());
    fleet.attach(replica);
    set(aModel('iris'));

    fleet.setModel('default/iris', undefined);
    await turn();
    fleet.remove(service, replica.id);
    fleet.setService('default', 'shared', undefined);

    expect(fleet.services.size + fleet.models.size).toBe(0);
  });

  it('never holds more than fits, whatever comes and goes', async () => {
    const step = fc.record({
      name: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
      memory: fc.integer({ min: 1, max: 6 }),
      gone: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
        const { fleet, set, service } = start();
        fleet.setService('default', 'shared', aView({ capacityBytes: 10 * 2 ** 20 }));
        for (const { name, memory, gone } of steps) {
          if (gone) fleet.setModel(`default/${name}`, undefined);
          else if (!fleet.models.has(`default/${name}`)) set(aModel(name, { memory: `${memory}Mi` }));
          await turn();
          const sum = [...service.holdings.values()].reduce((total, { model }) => total + model.memoryBytes, 0);

          expect(service.heldBytes).toBe(sum);
          expect(sum).toBeLessThanOrEqual(10 * 2 ** 20);
          expect(service.holdings.size + service.waiting.size).toBe(service.models.size);
        }
      }),
      { numRuns: 50 },
    );
  });
});
