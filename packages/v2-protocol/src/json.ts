import { invalid } from './errors.ts';

/** Thrown while decoding when a 64-bit integer came as a rounded number; `decodeJson` then starts over, keeping digits. */
export class InexactInteger extends Error {}

/**
 * JSON as model servers and their clients write it: also with the bare tokens NaN, Infinity and -Infinity. NaN becomes null.
 * With `exact`, integers that a double cannot hold become BigInt.
 */
export function parseJson(text: string, exact = false): unknown {
  const reviver = exact ? exactly : undefined;
  try {
    return JSON.parse(text, reviver);
  } catch (error) {
    const plain = withoutTokens(text);
    if (plain === text) throw invalid(`malformed JSON: ${reasonOf(error)}`);
    try {
      return JSON.parse(plain, reviver);
    } catch (again) {
      throw invalid(`malformed JSON: ${reasonOf(again)}`);
    }
  }
}

/** Parses `text` and hands it to `decode`; a second time with exact integers if `decode` needs them. */
export function decodeJson<T>(text: string, decode: (value: unknown) => T): T {
  try {
    return decode(parseJson(text));
  } catch (error) {
    if (!(error instanceof InexactInteger)) throw error;
    return decode(parseJson(text, true));
  }
}

function exactly(_key: string, value: unknown, context?: { readonly source?: string }): unknown {
  const source = context?.source;
  if (typeof value !== 'number' || Number.isSafeInteger(value) || source === undefined) return value;
  // 20 digits hold every 64-bit integer; what is longer stays a number and is refused as out of range.
  return /^-?\d{1,20}$/.test(source) ? BigInt(source) : value;
}

/** Strings are matched first and left alone, so only bare tokens change. 1e999 reads as Infinity. */
function withoutTokens(text: string): string {
  return text.replaceAll(/"[^"\\]*(?:\\.[^"\\]*)*"|\b(?:NaN|Infinity)\b/g, (match) => {
    if (match === 'NaN') return 'null';
    return match === 'Infinity' ? '1e999' : match;
  });
}

/** V8 quotes a piece of the input, which may be long or private; what went wrong is enough. */
function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return (
    /at position \d+/.exec(message)?.[0] ?? (/end of JSON/i.test(message) ? 'it ends too early' : 'unexpected token')
  );
}

const utf8 = new TextDecoder('utf-8', { fatal: true });

export function textOf(bytes: Uint8Array, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw invalid(`${what} is not valid UTF-8`);
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
