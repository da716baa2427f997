import { corrupt } from '../../model.ts';

/** One field of a message: its number, the bytes of its value without length, and all its bytes as they lie in the message. */
export type Field = { readonly number: number; readonly value: Uint8Array; readonly whole: Uint8Array };

/** Splits a message into its fields, in order. Groups, which ONNX has none of, are refused. */
export function fieldsOfMessage(message: Uint8Array): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = message[at++];
      if (byte === undefined) break;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    throw corrupt('the ONNX file ends too early');
  };
  while (at < message.length) {
    const start = at;
    const key = varint();
    const wire = key % 8;
    let valueStart = at;
    if (wire === 0) varint();
    else if (wire === 1) at += 8;
    else if (wire === 5) at += 4;
    else if (wire === 2) {
      const length = varint();
      valueStart = at;
      at += length;
    } else throw corrupt('the ONNX file has a field of an unknown kind');
    if (at > message.length) throw corrupt('the ONNX file ends too early');
    const value = message.subarray(valueStart, at);
    fields.push({ number: Math.floor(key / 8), value, whole: message.subarray(start, at) });
  }
  return fields;
}

/** A field of the kind that messages, text and bytes have. */
export function lengthDelimited(number: number, value: Uint8Array): Field {
  const head = [...varintBytes(number * 8 + 2), ...varintBytes(value.length)];
  return { number, value, whole: Buffer.concat([Uint8Array.from(head), value]) };
}

export function concatFields(fields: readonly Field[]): Uint8Array {
  return Buffer.concat(fields.map(({ whole }) => whole));
}

function varintBytes(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) + 0x80, ...varintBytes(Math.floor(value / 0x80))];
}
