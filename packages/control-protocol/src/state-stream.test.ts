import { create, toBinary } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunksOf } from './chunks.ts';
import { ReportSchema } from './gen/control_pb.js';
import { createStateReceiver, createStateSender, type Position } from './state-stream.ts';

type Part = { readonly set: readonly (readonly [string, number])[]; readonly gone: readonly string[] };

/** A map that follows another over a link that the test moves by hand: it may be slow, and lose messages. */
function createLink() {
  const source = new Map<string, number>();
  const copy = new Map<string, number>();
  const pending = new Set<string>();
  const wire: { readonly position: Position; readonly part: Part }[] = [];
  const back: (() => void)[] = [];
  const resyncs: string[] = [];
  const sender = createStateSender<Part>({
    write: (position, part) => wire.push({ position, part }) < 3,
    snapshot: () => {
      pending.clear();
      const entries = [...source];
      // Two chunks, so that snapshots are interrupted too.
      return [
        { set: entries.slice(0, 2), gone: [] },
        { set: entries.slice(2), gone: [] },
      ];
    },
    delta: () => {
      const names = [...pending];
      pending.clear();
      const set = names.flatMap((name) => (source.has(name) ? [[name, source.get(name) ?? 0] as const] : []));
      return names.length === 0 ? [] : [{ set, gone: names.filter((name) => !source.has(name)) }];
    },
    mark: () => changes,
  });
  const receiver = createStateReceiver<Part>({
    apply(parts, snapshot) {
      if (snapshot) copy.clear();
      for (const { set, gone } of parts) {
        for (const [name, value] of set) copy.set(name, value);
        for (const name of gone) copy.delete(name);
      }
    },
    acknowledge: (revision) => void back.push(() => sender.acknowledge(revision)),
    resync(reason) {
      resyncs.push(reason);
      back.push(() => sender.restart());
    },
  });
  let changes = 0;
  return {
    source,
    copy,
    wire,
    resyncs,
    sender,
    change(name: string, value: number | undefined) {
      if (value === undefined) source.delete(name);
      else source.set(name, value);
      pending.add(name);
      changes++;
      sender.pump();
    },
    deliver() {
      const message = wire.shift();
      if (message !== undefined) receiver.receive(message.position, message.part);
    },
    lose: () => void wire.shift(),
    answer: () => back.shift()?.(),
    settle() {
      for (;;) {
        sender.drained();
        const [message] = wire;
        if (message === undefined && back.length === 0) return;
        if (message !== undefined) this.deliver();
        back.shift()?.();
      }
    },
    isAcknowledged: () => sender.acknowledgedMark === changes,
  };
}

describe('state over a stream', () => {
  it('is the same at both ends after any loss, delay and interleaving', () => {
    const name = fc.constantFrom('a', 'b', 'c', 'd');
    const step = fc.oneof(
      fc.record({ kind: fc.constant('change' as const), name, value: fc.option(fc.nat(9), { nil: undefined }) }),
      fc.record({ kind: fc.constantFrom('deliver' as const, 'lose' as const, 'answer' as const, 'drain' as const) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const link = createLink();
        link.sender.pump();
        for (const action of steps) {
          if (action.kind === 'change') link.change(action.name, action.value);
          else if (action.kind === 'drain') link.sender.drained();
          else link[action.kind]();
        }
        // What was lost at the very end shows with the next change.
        link.settle();
        link.change('last', 1);
        link.settle();

        expect(link.copy).toEqual(link.source);
        expect(link.isAcknowledged()).toBe(true);
      }),
      // A gap, and then a gap in the snapshot that was asked for because of it.
      {
        examples: [
          [
            [
              { kind: 'deliver' },
              { kind: 'lose' },
              { kind: 'change', name: 'a', value: 0 },
              { kind: 'deliver' },
              { kind: 'answer' },
              { kind: 'lose' },
            ],
          ],
        ],
      },
    );
  });

  it('asks once for everything when it finds a gap', () => {
    const link = createLink();
    link.sender.pump();
    link.settle();
    link.change('a', 1);
    link.lose();
    link.change('b', 2);
    link.change('c', 3);
    link.settle();

    expect(link.resyncs).toEqual(['expected a change of revision 1, got one of 2']);
    expect(link.copy).toEqual(link.source);
  });

  it('sends a slow peer one delta for all that happened meanwhile', () => {
    const link = createLink();
    link.sender.pump();
    link.settle();
    for (let index = 0; index < 10_000; index++) link.change(`m${index % 3}`, index);

    expect(link.wire.length).toBe(3);
    link.settle();
    expect(link.copy).toEqual(link.source);
  });

  it('sends no more to a peer that has stopped acknowledging', () => {
    const link = createLink();
    link.sender.pump();
    for (let index = 0; index < 1_000; index++) {
      link.change('a', index);
      link.lose();
      link.sender.drained();
    }

    expect(link.wire.length).toBe(0);
  });
});

describe('chunksOf', () => {
  it('keeps every message under 1 MiB, loses nothing and keeps the order', () => {
    const report = fc.record({ name: fc.string({ unit: 'grapheme', maxLength: 200 }), servingDigest: fc.string() });
    fc.assert(
      fc.property(fc.array(report, { maxLength: 50 }), fc.integer({ min: 1, max: 200 }), (reports, times) => {
        const models = Array.from({ length: times }, () => reports).flat();
        const chunks = chunksOf(models);

        expect(chunks.flat()).toEqual(models);
        for (const chunk of chunks) {
          expect(toBinary(ReportSchema, create(ReportSchema, { models: chunk })).length).toBeLessThan(1024 * 1024);
        }
      }),
      { numRuns: 20 },
    );
  });
});
