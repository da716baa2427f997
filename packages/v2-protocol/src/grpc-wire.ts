import { type DescField, type DescMessage, fromBinary, type MessageShape, ScalarType } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { messageOf } from '@roundhouse/base';
import { InferenceError, invalid } from './errors.ts';

/**
 * What one message may cost to decode, in units of one number. A few bytes on the wire can become a whole object, so the size of
 * the message does not bound the memory it takes. This is some 250 MB at worst; 16 MiB of FP32 as typed contents are within it.
 */
const unitsMax = 4 * 1024 * 1024;
const messageUnits = 64;
const textUnits = 16;

/** Decodes a message after checking what it will cost. Throws InferenceError, whatever the bytes are. */
export function decodeMessage<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    const budget = { units: unitsMax };
    spend(new BinaryReader(bytes), bytes.length, schema, budget);
    return fromBinary(schema, bytes, { readUnknownFields: false });
  } catch (error) {
    if (error instanceof InferenceError) throw error;
    throw invalid(`malformed ${schema.name}: ${messageOf(error)}`);
  }
}

function spend(reader: BinaryReader, end: number, { fields }: DescMessage, budget: { units: number }): void {
  while (reader.pos < end) {
    const [number, wireType] = reader.tag();
    const field = fields.find((candidate) => candidate.number === number);
    if (wireType !== WireType.LengthDelimited) {
      budget.units -= 1;
      reader.skip(wireType, number);
    } else {
      const length = reader.uint32();
      budget.units -= unitsOf(field, length);
      const nested = field === undefined || field.fieldKind === 'map' ? undefined : field.message;
      if (nested === undefined) reader.pos += length;
      else spend(reader, reader.pos + length, nested, budget);
    }
    if (budget.units < 0)
      throw new InferenceError(
        'inference/too-large',
        'the request has too many elements in typed contents; send raw contents, which have no such limit',
      );
  }
}

/** A field with a length is a message, a text, or a packed list of numbers. */
function unitsOf(field: DescField | undefined, length: number): number {
  if (field === undefined) return 1;
  if (field.fieldKind === 'message' || field.fieldKind === 'map') return messageUnits;
  if (field.fieldKind !== 'list') return textUnits;
  if (field.listKind === 'message') return messageUnits;
  if (field.listKind === 'enum') return length;
  switch (field.scalar) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return textUnits;
    case ScalarType.FLOAT:
      return length / 4;
    case ScalarType.DOUBLE:
      return length / 8;
    default:
      return length;
  }
}
