/** Bytes with a meaning of their own in HTTP/1.1. */
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const PERCENT = 0x25;
export const SLASH = 0x2f;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;

const token = 1;
const fieldValue = 2;
const target = 4;
const host = 8;
const unreserved = 16;

/** One bit per class that a byte belongs to. */
const classes = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
  const text = String.fromCharCode(byte);
  if (/[!#$%&'*+\-.^_`|~0-9A-Za-z]/.test(text)) classes[byte]! |= token; // RFC 9110 5.6.2
  if (byte === TAB || (byte >= SPACE && byte !== 0x7f)) classes[byte]! |= fieldValue; // RFC 9110 5.5
  if (byte > SPACE && byte < 0x7f && text !== '#') classes[byte]! |= target;
  if (/[0-9A-Za-z\-._:[\]]/.test(text)) classes[byte]! |= host;
  if (/[0-9A-Za-z\-._~]/.test(text)) classes[byte]! |= unreserved; // RFC 3986 2.3
}

export const isToken = (byte: number) => (classes[byte]! & token) !== 0;
export const isFieldValue = (byte: number) => (classes[byte]! & fieldValue) !== 0;
export const isTarget = (byte: number) => (classes[byte]! & target) !== 0;
export const isHost = (byte: number) => (classes[byte]! & host) !== 0;
export const isUnreserved = (byte: number) => (classes[byte]! & unreserved) !== 0;

/** The value of a hexadecimal digit, or -1. */
export function hexValue(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** Up to so many bytes a loop copies in less time than a call takes. */
const shortMax = 32;

/** Copies `[start, end)` of `from` to `at` of `to`, where there is room for it. */
export function copyBytes(from: Buffer, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start <= shortMax) for (let i = start, j = at; i < end; i++, j++) to[j] = from[i]!;
  else from.copy(to, at, start, end);
}

/** Whether the bytes from `at` are `text`, as they stand. The caller has checked that there are enough of them. */
export function startsWith(bytes: Uint8Array, at: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Whether `[start, end)` is `text`, as it stands. */
export function equals(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  return end - start === text.length && startsWith(bytes, start, text);
}

/** Whether `[start, end)`, which holds only token characters, is `text` (lower case) in any case. */
export function equalsLower(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if ((bytes[start + i]! | 0x20) !== text.charCodeAt(i)) return false;
  return true;
}
