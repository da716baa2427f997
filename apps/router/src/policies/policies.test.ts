import { systemClock, systemRandom } from '@roundhouse/base';
import { createRelay, type Upstream } from '@roundhouse/http-relay';
import { stepClock } from '@roundhouse/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Replica } from '../replica.ts';
import { createRetryBudget } from '../retry-budget.ts';
import { leastInFlight, nearby } from './least-in-flight.ts';
import { rendezvousOrder } from './rendezvous.ts';

const relay = createRelay({ clock: systemClock, random: systemRandom, name: 'test', pick: () => 'parked' });
const deps = { clock: systemClock, random: systemRandom, onReturn: () => {} };

function aReplica(id: string, inFlight = 0) {
  const upstream: Upstream = relay.upstream({ host: '127.0.0.1', port: 1 });
  upstream.inFlight = inFlight;
  return new Replica(deps, id, '127.0.0.1:1', upstream);
}

describe('leastInFlight', () => {
  const loads = fc.array(fc.record({ inFlight: fc.nat(20), draining: fc.boolean() }), { maxLength: 6 });
  const replicasOf = (given: readonly { inFlight: number; draining: boolean }[]) =>
    given.map(({ inFlight, draining }, index) => Object.assign(aReplica(`r${index}`, inFlight), { draining }));

  it('finds a usable replica whenever there is one, and never the busiest of several', () => {
    fc.assert(
      fc.property(loads, fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), (given, stream) => {
        const replicas = replicasOf(given);
        const usable = replicas.filter((replica) => replica.usable);
        const chosen = leastInFlight(
          replicas,
          (replica) => replica.usable,
          () => stream.next().value!,
        );

        expect(chosen?.usable).toBe(usable.length === 0 ? undefined : true);
        const busier = usable.filter((replica) => replica.upstream.inFlight >= (chosen?.upstream.inFlight ?? 0));
        if (usable.length > 1) expect(busier.length).toBeGreaterThan(1);
      }),
    );
  });
});

describe('nearby', () => {
  const choose = (near: readonly number[], far: readonly number[]) => {
    const [here, there] = [near, far].map((loads, zone) => loads.map((load, n) => aReplica(`${zone}${n}`, load)));
    return nearby(here!, there!, (replica) => replica.usable, systemRandom)?.id[0];
  };

  it.each<[string, readonly number[], readonly number[], string | undefined]>([
    ['stays in the zone while that is no more than twice as busy', [10, 10], [3, 3], '0'],
    ['leaves it when it is much busier', [11, 11], [3, 3], '1'],
    ['stays when all are idle', [0], [0, 0, 0], '0'],
    ['leaves it when nobody is there', [], [9], '1'],
    ['stays when nobody is elsewhere', [99], [], '0'],
    ['finds nobody when there is nobody', [], [], undefined],
  ])('%s', (_, near, far, zone) => {
    expect(choose(near, far)).toBe(zone);
  });

  it('leaves the zone when those in it cannot be used', () => {
    const [here, there] = [Object.assign(aReplica('a'), { draining: true }), aReplica('b')];

    expect(nearby([here], [there], (replica) => replica.usable, systemRandom)).toBe(there);
  });
});

describe('rendezvousOrder', () => {
  it('spreads models evenly, and moves only those of a replica that is lost', () => {
    const replicas = ['a', 'b', 'c', 'd'].map((id) => aReplica(id));
    const names = Array.from({ length: 2_000 }, (_, n) => `model-${n}`);
    const firstOf = (name: string, among: readonly Replica[]) => rendezvousOrder(name, among)[0]!.id;

    const before = names.map((name) => firstOf(name, replicas));
    const after = names.map((name) => firstOf(name, replicas.slice(1)));

    for (const { id } of replicas)
      expect(Math.abs(before.filter((first) => first === id).length - 500)).toBeLessThan(100);
    expect(names.filter((_, n) => before[n] !== after[n] && before[n] !== 'a')).toEqual([]);
  });
});

describe('a retry budget', () => {
  it('lets ten retries a second pass, and one for every five requests', () => {
    const clock = stepClock();
    const budget = createRetryBudget(clock);
    const spent = () => {
      let count = 0;
      while (budget.spend()) count++;
      return count;
    };

    expect(spent()).toBe(10);
    clock.advance(1_000);
    expect(spent()).toBe(10);
    for (let n = 0; n < 100; n++) budget.earn();
    expect(spent()).toBe(20);
  });
});
