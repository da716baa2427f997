import { isRecord } from '@roundhouse/v2-protocol';
import { corrupt } from '../model.ts';

/** Checked access to a parsed file: what is not there or not of its kind is named with its place. */
export type Fields = {
  has(key: string): boolean;
  object(key: string): Fields;
  objects(key: string): Fields[];
  text(key: string): string;
  /** A number, also where the file writes it as text. */
  number(key: string): number;
  integer(key: string): number;
  numbers(key: string): ArrayLike<number>;
  /** Numbers, with NaN where the file has none. */
  numbersOrNan(key: string): ArrayLike<number>;
  integers(key: string): ArrayLike<number>;
  texts(key: string): string[];
};

export function fieldsOf(value: unknown, place: string): Fields {
  if (!isRecord(value)) throw corrupt(`${place} is not an object`);
  const wrong = (key: string, expected: string) => corrupt(`${place}.${key} is not ${expected}`);
  const list = (key: string): ArrayLike<unknown> => {
    const items = value[key];
    if (Array.isArray(items) || ArrayBuffer.isView(items)) return items as unknown as ArrayLike<unknown>;
    throw wrong(key, 'an array');
  };
  const number = (key: string): number => {
    const found = value[key];
    const parsed = typeof found === 'string' && found.trim() !== '' ? Number(found) : found;
    if (typeof parsed !== 'number' || Number.isNaN(parsed)) throw wrong(key, 'a number');
    return parsed;
  };
  const numbers = (key: string, isGood: (item: unknown) => boolean, expected: string): ArrayLike<number> => {
    const items = list(key);
    for (let at = 0; at < items.length; at++) if (!isGood(items[at])) throw wrong(`${key}[${at}]`, expected);
    return items as ArrayLike<number>;
  };
  return {
    has: (key) => value[key] !== undefined && value[key] !== null,
    object: (key) => fieldsOf(value[key], `${place}.${key}`),
    objects: (key) => Array.from(list(key), (item, at) => fieldsOf(item, `${place}.${key}[${at}]`)),
    text(key) {
      const found = value[key];
      if (typeof found !== 'string') throw wrong(key, 'text');
      return found;
    },
    number,
    integer(key) {
      const found = number(key);
      if (!Number.isSafeInteger(found)) throw wrong(key, 'a whole number');
      return found;
    },
    numbers: (key) => numbers(key, (item) => typeof item === 'number' && !Number.isNaN(item), 'a number'),
    numbersOrNan(key) {
      const items = list(key);
      if (items instanceof Float32Array) return items;
      const found = numbers(key, (item) => typeof item === 'number' || item === null, 'a number');
      return Float64Array.from(found, (item: number | null) => item ?? Number.NaN);
    },
    // Very old files write flags as true and false.
    integers(key) {
      const items = list(key);
      if (items instanceof Int32Array || items instanceof Uint8Array) return items;
      return numbers(key, (item) => Number.isInteger(Number(item)) && item !== null, 'a whole number');
    },
    texts(key) {
      return Array.from(list(key), (item, at) => {
        if (typeof item !== 'string') throw wrong(`${key}[${at}]`, 'text');
        return item;
      });
    },
  };
}
