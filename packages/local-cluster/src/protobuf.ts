import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { timestamp } from '@roundhouse/base';
import fieldsByMessage from './gen/protobuf-fields.json' with { type: 'json' };
import { isJson, type Json } from './json.ts';
import { splitApiVersion } from './kinds.ts';

/**
 * Kubernetes' protobuf bodies, which kubectl's own `create …` commands send. Fields are those of the published
 * `generated.proto` files (Kubernetes 1.34), one text per message: `number=name:type`, `[]` for lists, `{}` for maps.
 */
const messages: Readonly<Record<string, string>> = fieldsByMessage;

/** Messages that JSON writes into the one that holds them. */
const inlined = /^(volumeSource|persistentVolumeSource|handler|localObjectReference|ephemeralContainerCommon)$/;

type Value = number | bigint | Uint8Array;

/** The object in a body of type application/vnd.kubernetes.protobuf; undefined for a kind that is not known. */
export function decodeProtobuf(body: Buffer): Json | undefined {
  if (body.subarray(0, 4).toString() !== 'k8s\0') return undefined;
  const [type, raw] = valuesAt(body.subarray(4), 1, 2);
  const [apiVersion = '', kind = ''] = valuesAt(type, 1, 2).map(textOf);
  const { group, version } = splitApiVersion(apiVersion);
  const names = [`${group.split('.')[0] || 'core'}.${version}.${kind}`, `meta.v1.${kind}`];
  const name = names.find((candidate) => candidate in messages);
  return name === undefined ? undefined : { apiVersion, kind, ...decodeMessage(name, raw) };
}

function decodeMessage(name: string, bytes: unknown): Json {
  const fields = new Map((messages[name] ?? '').split(' ').map((text) => text.split('=') as [string, string]));
  const message: Json = {};
  for (const [number, value] of entriesOf(bytes)) {
    const [, field = '', type = '', shape] =
      /^(\w+):([\w.]+?)(\[\]|\{\})?$/.exec(fields.get(String(number)) ?? '') ?? [];
    const decoded = shape === '{}' ? undefined : decodeValue(type, value);
    if (field === '') continue;
    if (shape === '{}') {
      const [key, item] = valuesAt(value, 1, 2);
      const entry = { [textOf(key)]: decodeValue(type, item ?? new Uint8Array()) };
      message[field] = { ...(message[field] as Json), ...entry };
    } else if (shape === '[]') message[field] = [...((message[field] as unknown[]) ?? []), decoded];
    else if (inlined.test(field) && isJson(decoded)) Object.assign(message, decoded);
    // Go writes absent strings, numbers and flags as empty ones; of these only replicas can be meant.
    else if (decoded || field === 'replicas') message[field] = decoded;
  }
  return message;
}

function decodeValue(type: string, value: unknown): unknown {
  if (!(value instanceof Uint8Array)) return type === 'bool' ? Number(value) !== 0 : Number(value);
  switch (type) {
    case 'string':
      return textOf(value);
    case 'bytes':
      return Buffer.from(value).toString('base64');
    case 'quantity':
      return textOf(valuesAt(value, 1)[0]) || '0';
    case 'intOrString': {
      const [isText, number = 0, text] = valuesAt(value, 1, 2, 3);
      return Number(isText) === 1 ? textOf(text) : Number(number);
    }
    case 'time': {
      const [seconds] = valuesAt(value, 1);
      return seconds === undefined ? undefined : timestamp(Number(seconds) * 1000);
    }
    default:
      return decodeMessage(type, value);
  }
}

function textOf(value: Value | undefined): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString() : '';
}

function valuesAt(bytes: unknown, ...numbers: readonly number[]): readonly (Value | undefined)[] {
  const values = new Map(entriesOf(bytes));
  return numbers.map((number) => values.get(number));
}

function entriesOf(bytes: unknown): readonly (readonly [number: number, value: Value])[] {
  if (!(bytes instanceof Uint8Array)) return [];
  const reader = new BinaryReader(bytes);
  const entries: [number, Value][] = [];
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType === WireType.Varint) entries.push([number, BigInt(reader.int64())]);
    else if (wireType === WireType.LengthDelimited) entries.push([number, reader.bytes()]);
    else reader.skip(wireType);
  }
  return entries;
}
