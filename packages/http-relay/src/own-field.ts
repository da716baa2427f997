/** A field that we add to messages, as bytes: `[start, end)` of `bytes` is its value, for the moment only. */
export type OwnField = {
  /** Lower case. */
  readonly name: string;
  readonly bytes: Buffer;
  readonly start: number;
  readonly end: number;
};

/** One that is made for a single message. */
export function ownField(name: string, value: string): OwnField {
  const bytes = Buffer.from(value, 'latin1');
  return { name, bytes, start: 0, end: bytes.length };
}
