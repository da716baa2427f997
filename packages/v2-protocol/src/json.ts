import { InferenceError, invalid } from './errors.ts';
import { defaultLimits, type Limits } from './limits.ts';

/** Thrown while decoding when an integer came as a rounded number; `decodeJson` then starts over, keeping digits. */
export class InexactInteger extends Error {}

/** JSON as model servers and their clients write it: also with the bare tokens NaN, Infinity and -Infinity. NaN becomes null. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const plain = withoutTokens(text);
    if (plain === text) throw invalid(`malformed JSON: ${reasonOf(error)}`);
    try {
      return JSON.parse(plain);
    } catch (again) {
      throw invalid(`malformed JSON: ${reasonOf(again)}`);
    }
  }
}

/** Parses `text` and hands it to `decode`; a second time with exact integers if `decode` needs them. */
export function decodeJson<T>(
  text: string,
  decode: (value: unknown) => T,
  { jsonMemoryBytesMax }: Limits = defaultLimits,
): T {
  refuseCostly(text, jsonMemoryBytesMax);
  try {
    return decode(parseJson(text));
  } catch (error) {
    if (!(error instanceof InexactInteger)) throw error;
    return decode(parseExactJson(text));
  }
}

/** Text up to this length cannot become more memory than is worth counting. */
const uncountedLength = 1024 * 1024;

/** What values take while they are parsed, in bytes, measured with V8: an empty array or object, a string, any other value. */
const containerBytes = 96;
const stringBytes = 40;
const valueBytes = 32;

const [quote, backslash, comma, openBracket, openBrace] = [0x22, 0x5c, 0x2c, 0x5b, 0x7b];

/** Two bytes of text (`[]`, `0,`) become up to fifty times as many, so the length of a body does not bound what it takes. */
function refuseCostly(text: string, memoryBytesMax: number) {
  if (text.length <= uncountedLength) return;
  let bytes = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === comma) bytes += valueBytes;
    else if (code === openBracket || code === openBrace) bytes += containerBytes;
    else if (code === quote) {
      const end = endOfString(text, at + 1);
      bytes += stringBytes + end - at;
      at = end;
    }
    if (bytes > memoryBytesMax)
      throw new InferenceError(
        'inference/too-large',
        'the JSON has too many values; send tensors with the binary tensor extension, which takes far less memory',
      );
  }
}

function endOfString(text: string, from: number): number {
  for (let end = text.indexOf('"', from); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = 0;
    while (text.charCodeAt(end - 1 - escapes) === backslash) escapes++;
    if (escapes % 2 === 0) return end;
  }
  return text.length;
}

/** Half of a character, so that no text that is one begins with it. */
const exactMark = '\ud800';
const exactPattern = /^\ud800-?\d+$/;

/**
 * Integers that a double cannot hold become BigInt. They are put into strings before the text is parsed: a reviver would be called
 * for every value, which takes some twenty times as long.
 */
function parseExactJson(text: string): unknown {
  const marked = outsideStrings(text, (part) => part.replaceAll(longNumber, exactText));
  const root = [parseJson(marked)];
  const open: (unknown[] | Record<string, unknown>)[] = [root];
  const exact = (value: unknown): unknown => {
    if (typeof value === 'string') return exactPattern.test(value) ? BigInt(value.slice(1)) : value;
    if (typeof value === 'object' && value !== null) open.push(value as Record<string, unknown>);
    return value;
  };
  for (let holder = open.pop(); holder !== undefined; holder = open.pop()) {
    if (Array.isArray(holder)) for (let at = 0; at < holder.length; at++) holder[at] = exact(holder[at]);
    else for (const key of Object.keys(holder)) holder[key] = exact(holder[key]);
  }
  return root[0];
}

/** Shorter numbers without an exponent are exact. */
const longNumber = /(?<![\w.+-])-?(?:\d{16,}(?:\.\d+)?(?:[eE][+-]?\d+)?|\d+(?:\.\d+)?[eE][+-]?\d+)/g;

function exactText(token: string): string {
  const value = Number(token);
  if (!Number.isInteger(value) || Number.isSafeInteger(value)) return token;
  // 20 digits hold every 64-bit integer; of what is longer, only the size matters, and the number tells it.
  return `"${exactMark}${/^-?\d{1,20}$/.test(token) ? token : BigInt(value)}"`;
}

/** 1e999 reads as Infinity. */
function withoutTokens(text: string): string {
  return outsideStrings(text, (part) =>
    part.replaceAll(/\b(?:NaN|Infinity)\b/g, (token) => (token === 'NaN' ? 'null' : '1e999')),
  );
}

/** Changes what is not within a string. An expression that matches strings too takes quadratic time where one has no end. */
function outsideStrings(text: string, change: (part: string) => string): string {
  let result = '';
  let at = 0;
  for (let start = text.indexOf('"'); start !== -1; start = text.indexOf('"', at)) {
    const next = endOfString(text, start + 1) + 1;
    result += change(text.slice(at, start)) + text.slice(start, next);
    at = next;
  }
  return result + change(text.slice(at));
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

/** A value from a request as a message shows it: short, and whatever it is. */
export function preview(value: unknown): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? `${inner}n` : inner));
  const plain = typeof value === 'bigint' ? String(value) : text;
  return plain.length > 40 ? `${plain.slice(0, 40)}…` : plain;
}
