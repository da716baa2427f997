/**
 * A field that we add to a message, as HPACK has it that is in no table and shall be in none (RFC 7541 6.2.2), so that adding it
 * is copying it. Those of a process's own ids are overwritten with the next.
 */
export type OwnField = Buffer;

const lengthMax = 0x7f;

/** `name` in lower case, and the value in Latin-1. */
export function ownField(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), text(name), text(value)]);
}

/** RFC 7541 5.2, with the length as 5.1 has it. */
function text(value: string): Buffer {
  const length = [Math.min(value.length, lengthMax)];
  if (value.length >= lengthMax) {
    let rest = value.length - lengthMax;
    for (; rest >= 0x80; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), Buffer.from(value, 'latin1')]);
}
