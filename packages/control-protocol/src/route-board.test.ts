import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Residency, type Routes } from './gen/control_pb.js';
import { createRig, type Rig, until } from './testing/rig.ts';

const never = new AbortController().signal;

/** A router's table, made of nothing but updates. */
function createTable() {
  const services = new Map<string, unknown>();
  const replicas = new Map<string, string>();
  const models = new Map<string, string>();
  return {
    updates: [] as boolean[],
    apply({ snapshot, routes }: { snapshot: boolean; routes: Routes }) {
      this.updates.push(snapshot);
      if (snapshot) for (const map of [services, replicas, models]) map.clear();
      for (const { key, hosts } of routes.services) services.set(key, hosts);
      for (const { id, service } of routes.replicas) replicas.set(id, service);
      for (const { service, name, copies } of routes.models)
        models.set(`${service} ${name}`, copies.map((c) => c.replica).join());
      for (const key of routes.removedServices) {
        services.delete(key);
        for (const [id, service] of replicas) if (service === key) replicas.delete(id);
        for (const model of models.keys()) if (model.startsWith(`${key} `)) models.delete(model);
      }
      for (const id of routes.removedReplicas) replicas.delete(id);
      for (const { service, name } of routes.removedModels) models.delete(`${service} ${name}`);
    },
    text: () => JSON.stringify([services, replicas, models].map((map) => [...map].sort())),
  };
}

const copyOn = (replica: string) => [{ replica, residency: Residency.WARM }];

describe('createRouteBoard and openRoutes', () => {
  let rig: Rig;
  beforeEach(async () => {
    rig = await createRig();
    await rig.serve();
  });
  afterEach(() => rig.close());

  it('sends a snapshot to whoever comes, then changes, and knows when they are in effect', async () => {
    rig.board.publish({ services: [{ key: 's', hosts: ['h'] }], replicas: [{ id: 'r', service: 's' }] });
    const tables = [createTable(), createTable()];
    const routers = tables.map((table) => rig.router({ apply: (update) => table.apply(update) }));
    await until(() => tables.every(({ updates }) => updates.length === 1));
    rig.board.publish({ models: [{ service: 's', name: 'm', copies: copyOn('r') }] });
    const settled = await rig.board.settled(5_000, never);

    expect(settled).toBe(true);
    expect(routers.every(({ stream }) => stream.connected)).toBe(true);
    expect(tables.map(({ updates }) => updates)).toEqual([
      [true, false],
      [true, false],
    ]);
    expect(tables[0]!.text()).toBe('[[["s",["h"]]],[["r","s"]],[["s m","r"]]]');
  });

  it('sends what happens in one turn as one change', async () => {
    const table = createTable();
    rig.router({ apply: (update) => table.apply(update) });
    await until(() => table.updates.length === 1);
    for (let index = 0; index < 100; index++) {
      rig.board.publish({ models: [{ service: 's', name: `m${index}`, copies: copyOn('r') }] });
    }
    rig.board.publish({ services: [{ key: 's' }], replicas: [{ id: 'r', service: 's' }], removedReplicas: ['q'] });
    await rig.board.settled(5_000, never);

    expect(table.updates).toEqual([true, false]);
  });

  it('takes the replicas and models of a service away with it', async () => {
    const table = createTable();
    rig.router({ apply: (update) => table.apply(update) });
    rig.board.publish({
      services: [{ key: 's' }],
      replicas: [{ id: 'r', service: 's' }],
      models: [{ service: 's', name: 'm', copies: copyOn('r') }],
    });
    await rig.board.settled(5_000, never);
    rig.board.publish({ removedServices: ['s'] });
    rig.board.publish({ services: [{ key: 's' }] });
    await rig.board.settled(5_000, never);
    await until(() => table.updates.length > 0);

    expect(table.text()).toBe('[[["s",[]]],[],[]]');
  });

  it('keeps what was added under the key of a service in the turn in which that was removed', async () => {
    const table = createTable();
    rig.board.publish({ services: [{ key: 's' }] });
    rig.router({ apply: (update) => table.apply(update) });
    await until(() => table.updates.length === 1);
    rig.board.publish({ removedServices: ['s'] });
    rig.board.publish({ models: [{ service: 's', name: 'm', copies: copyOn('r') }] });
    await rig.board.settled(5_000, never);

    expect(table.text()).toBe('[[],[],[["s m","r"]]]');
  });

  it('waits for a router that is slow, but not for one that went away, and not for ever', async () => {
    const onResync: unknown[] = [];
    const closing: ((reason: string) => void)[] = [];
    const mute = {
      hello: {} as never,
      write: () => true,
      onAcknowledge() {},
      onResync: (listener: unknown) => void onResync.push(listener),
      onDrain() {},
      onHeartbeat() {},
      onClose: (listener: (reason: string) => void) => void closing.push(listener),
      close() {},
    };
    rig.board.attach(mute);
    rig.board.publish({ services: [{ key: 's' }] });
    const inTime = await rig.board.settled(20, never);
    const later = rig.board.settled(10_000, never);
    closing[0]?.('gone');
    const stopped = rig.board.settled(10_000, AbortSignal.abort(new Error('stopping')));

    expect(inTime).toBe(false);
    expect(await later).toBe(true);
    await expect(stopped).rejects.toThrow('stopping');
  });

  it('counts the requests that a router tells of', async () => {
    const requests: bigint[] = [];
    await rig.close();
    rig = await createRig();
    await rig.serve({ onRouter: (session) => session.onHeartbeat((beat) => requests.push(beat.requests)) });
    const { stream } = rig.router();
    stream.traffic(3, 1);
    await until(() => requests.length >= 2);

    expect(requests.slice(0, 2)).toEqual([3n, 0n]);
  });

  it('gives every router the same table after any interleaving of changes and disconnects', {
    timeout: 60_000,
  }, async () => {
    const closers: ((reason: string) => void)[] = [];
    await rig.close();
    rig = await createRig();
    await rig.serve({
      onRouter(session) {
        closers.push((reason) => session.close(reason));
        rig.board.attach(session);
      },
    });
    const table = createTable();
    const { stream } = rig.router({ apply: (update) => table.apply(update) });
    await until(() => table.updates.length > 0);
    const expected = createTable();
    const key = fc.constantFrom('s', 't');
    const id = fc.constantFrom('1', '2', '3');
    const step = fc.oneof(
      fc.record({ kind: fc.constantFrom('service', 'replica', 'model', 'model', 'disconnect', 'turn'), key, id }),
      fc.record({ kind: fc.constantFrom('no-service', 'no-replica', 'no-model'), key, id }),
    );
    const changeFor = (kind: string, service: string, name: string) => {
      if (kind === 'service') return { services: [{ key: service, hosts: [name] }] };
      if (kind === 'replica') return { replicas: [{ id: `${service}${name}`, service }] };
      if (kind === 'model') return { models: [{ service, name, copies: copyOn(name) }] };
      if (kind === 'no-service') return { removedServices: [service] };
      if (kind === 'no-replica') return { removedReplicas: [`${service}${name}`] };
      return { removedModels: [{ service, name }] };
    };
    const nothing = {
      services: [],
      replicas: [],
      models: [],
      removedServices: [],
      removedReplicas: [],
      removedModels: [],
    };
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        for (const { kind, key: service, id: name } of steps) {
          if (kind === 'disconnect') closers.at(-1)?.('by the test');
          else if (kind === 'turn') await new Promise((resolve) => setImmediate(resolve));
          else {
            const change = changeFor(kind, service, name);
            rig.board.publish(change);
            expected.apply({ snapshot: false, routes: { ...nothing, ...change } as never });
          }
        }
        await until(() => stream.connected && table.text() === expected.text());
      }),
      { numRuns: 25 },
    );
  });
});
