import { corrupt } from '../../model.ts';

/** A block of `key=value` lines; a line without `=` is a key with an empty value. */
export type Block = {
  has(key: string): boolean;
  text(key: string): string;
  integer(key: string): number;
  /** White space separated, as many as `count` if it is given. */
  numbers(key: string, count?: number): Float64Array;
  integers(key: string, count?: number): Int32Array;
};

export type LightgbmText = { readonly header: Block; readonly trees: readonly Block[] };

/** Splits a model file. The line `end of trees` must be there: without it the file was cut off. */
export function parseLightgbmText(text: string): LightgbmText {
  const end = /^end of trees\s*$/m.exec(text);
  if (end === null) throw corrupt('the file is cut off: the line "end of trees" is missing');
  const lines = text.slice(0, end.index).split(/\r?\n/);
  if (lines[0] !== 'tree') throw corrupt('the file is not a LightGBM model: it does not begin with "tree"');
  const starts = lines.flatMap((line, at) => (line.startsWith('Tree=') ? [at] : []));
  const header = blockOf(lines.slice(1, starts[0] ?? lines.length), 'the header');
  const trees = starts.map((start, at) => blockOf(lines.slice(start, starts[at + 1] ?? lines.length), `tree ${at}`));
  for (const [at, tree] of trees.entries())
    if (tree.integer('Tree') !== at) throw corrupt(`tree ${at} is out of order`);
  // One byte length per tree: another count means that trees are missing.
  if (header.has('tree_sizes') && header.numbers('tree_sizes').length !== trees.length)
    throw corrupt(`the header announces ${header.numbers('tree_sizes').length} trees, but there are ${trees.length}`);
  return { header, trees };
}

function blockOf(lines: readonly string[], place: string): Block {
  const values = new Map<string, string>();
  for (const line of lines) {
    const equals = line.indexOf('=');
    if (line !== '') values.set(equals < 0 ? line : line.slice(0, equals), equals < 0 ? '' : line.slice(equals + 1));
  }
  const text = (key: string): string => {
    const value = values.get(key);
    if (value === undefined) throw corrupt(`${place} has no ${key}`);
    return value;
  };
  const numbers = (key: string, count?: number): Float64Array => {
    const words = wordsOf(text(key));
    if (count !== undefined && words.length !== count)
      throw corrupt(`${place} has ${words.length} values of ${key} instead of ${count}`);
    const found = new Float64Array(words.length);
    for (let at = 0; at < words.length; at++) found[at] = numberOf(words[at] as string, place, key);
    return found;
  };
  return {
    has: (key) => values.has(key),
    text,
    integer: (key) => wholeOf(numberOf(text(key).trim(), place, key), place, key),
    numbers,
    integers(key, count) {
      const found = numbers(key, count);
      for (let at = 0; at < found.length; at++) wholeOf(found[at] as number, place, key);
      return new Int32Array(found);
    },
  };
}

/** LightGBM writes single spaces, which are faster to split at. */
function wordsOf(text: string): string[] {
  const line = text.trim();
  if (line === '') return [];
  return /[^\S ]| {2}/.test(line) ? line.split(/\s+/) : line.split(' ');
}

const special: Readonly<Record<string, number>> = {
  inf: Number.POSITIVE_INFINITY,
  '-inf': Number.NEGATIVE_INFINITY,
  nan: Number.NaN,
  '-nan': Number.NaN,
};

function numberOf(word: string, place: string, key: string): number {
  const value = Number(word);
  if (!Number.isNaN(value) && word !== '') return value;
  const other = special[word];
  if (other === undefined)
    throw corrupt(`${place}: ${key} holds ${JSON.stringify(word.slice(0, 40))}, which is no number`);
  return other;
}

function wholeOf(value: number, place: string, key: string): number {
  // Category bitsets are uint32 words; Int32Array keeps their bits.
  if (!Number.isInteger(value) || value < -(2 ** 31) || value >= 2 ** 32)
    throw corrupt(`${place}: ${key} is not a whole number of 32 bits`);
  return value;
}
