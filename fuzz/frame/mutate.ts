import { changeJson } from './change-json.ts';

/** Changes inputs in the ways that readers of formats trip over: lengths, signs, nesting, repetition, cuts, words out of place. */

const sizeBytesMax = 64 * 1024;

const integers = [0, 1, 2, 4, 8, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];
const numerals = ['-1', '0', '-0', '1e999', '4294967296', '9007199254740993', '18446744073709551616', '1e-400', 'NaN'];

type Change = (input: Uint8Array, random: () => number, words: readonly Uint8Array[], other: Uint8Array) => Uint8Array;

const below = (random: () => number, limit: number) => Math.floor(random() * limit);
const join = (...parts: readonly Uint8Array[]) => new Uint8Array(Buffer.concat(parts));

function replaced(input: Uint8Array, from: number, to: number, by: Uint8Array): Uint8Array {
  return join(input.subarray(0, from), by, input.subarray(to));
}

function slice(input: Uint8Array, random: () => number): readonly [number, number] {
  const from = below(random, input.length + 1);
  const longest = Math.min(input.length - from, random() < 0.8 ? 16 : input.length);
  return [from, from + below(random, longest + 1)];
}

const changes: readonly Change[] = [
  function flipBit(input, random) {
    const copy = input.slice();
    const at = below(random, copy.length);
    copy[at] = (copy[at] as number) ^ (1 << below(random, 8));
    return copy;
  },
  function setByte(input, random) {
    const copy = input.slice();
    copy[below(random, copy.length)] = below(random, 256);
    return copy;
  },
  function setInteger(input, random) {
    const size = [1, 2, 4, 8][below(random, 4)] as number;
    const value = Buffer.alloc(8);
    value.writeBigUInt64LE(BigInt(integers[below(random, integers.length)] as number));
    const bytes = random() < 0.5 ? value.subarray(0, size) : value.subarray(0, size).reverse();
    const at = below(random, input.length);
    return replaced(input, at, Math.min(input.length, at + size), bytes);
  },
  function replaceNumeral(input, random) {
    const text = Buffer.from(input).toString('latin1');
    const found = [...text.matchAll(/-?\d+(?:\.\d+)?/g)];
    const match = found[below(random, found.length)];
    if (match === undefined) return input;
    const numeral = Buffer.from(numerals[below(random, numerals.length)] as string);
    return replaced(input, match.index, match.index + match[0].length, numeral);
  },
  function insertWord(input, random, words) {
    const at = below(random, input.length + 1);
    return replaced(input, at, at, words[below(random, words.length)] ?? input.subarray(0, 0));
  },
  function overwriteWithWord(input, random, words) {
    const word = words[below(random, words.length)] ?? input.subarray(0, 0);
    const at = below(random, input.length + 1);
    return replaced(input, at, Math.min(input.length, at + word.length), word);
  },
  function remove(input, random) {
    const [from, to] = slice(input, random);
    return replaced(input, from, to, input.subarray(0, 0));
  },
  function repeat(input, random) {
    const [from, to] = slice(input, random);
    const times = random() < 0.9 ? 1 + below(random, 4) : below(random, 2_000);
    const part = input.subarray(from, to);
    const room = Math.floor((sizeBytesMax - input.length) / Math.max(1, part.length));
    return replaced(input, from, from, join(...new Array<Uint8Array>(Math.max(0, Math.min(times, room))).fill(part)));
  },
  function move(input, random) {
    const [from, to] = slice(input, random);
    const rest = replaced(input, from, to, input.subarray(0, 0));
    const at = below(random, rest.length + 1);
    return replaced(rest, at, at, input.subarray(from, to));
  },
  function cut(input, random) {
    return input.slice(0, below(random, input.length + 1));
  },
  function splice(input, random, _words, other) {
    const [from, to] = slice(other, random);
    const [start, end] = slice(input, random);
    return replaced(input, start, end, other.subarray(from, to));
  },
  function cross(input, random, _words, other) {
    return join(input.subarray(0, below(random, input.length + 1)), other.subarray(below(random, other.length + 1)));
  },
];

/** One to four changes. `corpus` is what to mix in. */
export function mutate(
  input: Uint8Array,
  random: () => number,
  words: readonly Uint8Array[],
  corpus: readonly Uint8Array[],
): Uint8Array {
  let result = input;
  for (let left = 1 + below(random, 4); left > 0; left--) {
    const change = changes[below(random, changes.length)] as Change;
    const other = corpus[below(random, corpus.length)] as Uint8Array;
    if (result[0] === 0x7b && random() < 0.5) result = changeJson(result, random);
    else if (result.length > 0) result = change(result, random, words, other);
  }
  return result.length > sizeBytesMax ? result.slice(0, sizeBytesMax) : result;
}
