import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FrameReader, flags, frameHeadSize, frames, writeFrameHead } from './frames.ts';

type Frame = { readonly type: number; readonly flag: number; readonly id: number; readonly payload: Buffer };

const anyFrame: fc.Arbitrary<Frame> = fc.record({
  type: fc.constantFrom(frames.data, frames.headers, frames.ping),
  flag: fc.constantFrom(0, flags.endStream, flags.padded, flags.endStream | flags.padded),
  id: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
  payload: fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
});

const bytesOf = ({ type, flag, id, payload }: Frame) => {
  const head = Buffer.alloc(frameHeadSize);
  writeFrameHead(head, 0, payload.length, type, flag, id);
  return Buffer.concat([head, payload]);
};

/** All that a reader says, with data that comes in parts put together again: a part that is not the last has no flags. */
function readIn(sizes: readonly number[], bytes: Buffer): Frame[] {
  const read: Frame[] = [];
  let open: { id: number; left: number; parts: Buffer[] } | undefined;
  const expected: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = bytes.readUIntBE(at, 3);
    expected.push(size);
    at += frameHeadSize + size;
  }
  const reader = new FrameReader({
    onFrame(type, flag, id, from, start, end) {
      const payload = Buffer.from(from.subarray(start, end));
      open ??= { id, left: expected[read.length]!, parts: [] };
      open.parts.push(payload);
      open.left -= payload.length;
      expect(open.id).toBe(id);
      if (open.left > 0) expect(flag).toBe(0);
      else {
        read.push({ type, flag, id, payload: Buffer.concat(open.parts) });
        open = undefined;
      }
      return true;
    },
    onFrameTooLarge: () => expect.unreachable(),
  });
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const end = Math.min(bytes.length, at + sizes[turn % sizes.length]!);
    const memory = Buffer.from(bytes.subarray(at, end)); // overwritten after each read, as a socket's is
    reader.read(memory, 0, memory.length);
    memory.fill(0xff);
    at = end;
  }
  return read;
}

describe('FrameReader', () => {
  it('reads the same frames wherever reads cut them', () => {
    fc.assert(
      fc.property(
        fc.array(anyFrame, { minLength: 1, maxLength: 12 }),
        fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 8 }),
        (given, sizes) => {
          expect(readIn(sizes, Buffer.concat(given.map(bytesOf)))).toEqual(given);
        },
      ),
    );
  });
});
