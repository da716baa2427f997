import type { OwnField } from '../../own-field.ts';
import type { Field } from '../field.ts';
import { HpackEncoder, type Owner } from '../hpack-encoder.ts';

/** A header block with these fields, by an encoder that is new unless one is given. */
export function encoded(kept: readonly Field[], encoder = new HpackEncoder(), owner?: Owner, own?: OwnField): Buffer {
  const size = encoder.encode(owner, kept, own);
  return Buffer.from(encoder.bytes.subarray(0, size));
}
