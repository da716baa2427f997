import fieldsByMessage from './gen/protobuf-fields.json' with { type: 'json' };
import { isJson, type Json } from './json.ts';

/**
 * Kubernetes' protobuf bodies, which kubectl's own `create …` commands send. Fields are those of the published
 * `generated.proto` files (Kubernetes 1.34), one text per message: `number=name:type`, `[]` for lists, `{}` for maps.
 */
const messages: Readonly<Record<string, string>> = fieldsByMessage;

/** Messages that JSON writes into the one that holds them. */
const inlined = /^(volumeSource|persistentVolumeSource|handler|localObjectReference|ephemeralContainerCommon)$/;
const magic = Buffer.from('k8s\0');

type Entry = { readonly number: number; readonly value: bigint | Buffer };

/** The object in a body of type application/vnd.kubernetes.protobuf; undefined for a kind that is not known. */
export function decodeProtobuf(body: Buffer): Json | undefined {
  if (!body.subarray(0, 4).equals(magic)) return undefined;
  const envelope = entriesOf(body.subarray(4));
  const bytes = (entries: readonly Entry[], number: number) => {
    const found = entries.find((entry) => entry.number === number)?.value;
    return found instanceof Buffer ? found : Buffer.alloc(0);
  };
  const type = entriesOf(bytes(envelope, 1));
  const [apiVersion, kind] = [bytes(type, 1).toString(), bytes(type, 2).toString()];
  const [group = '', version = group] = apiVersion.split('/');
  const domain = apiVersion.includes('/') ? (group.split('.')[0] ?? '') : 'core';
  const names = [`${domain}.${version}.${kind}`, `meta.v1.${kind}`];
  const name = names.find((candidate) => candidate in messages);
  return name === undefined ? undefined : { apiVersion, kind, ...decodeMessage(name, bytes(envelope, 2)) };
}

function decodeMessage(name: string, bytes: Buffer): Json {
  const fields = new Map((messages[name] ?? '').split(' ').map((text) => text.split('=') as [string, string]));
  const message: Json = {};
  for (const { number, value } of entriesOf(bytes)) {
    const [, field = '', type = '', shape] =
      /^(\w+):([\w.]+?)(\[\]|\{\})?$/.exec(fields.get(String(number)) ?? '') ?? [];
    if (field === '') continue;
    if (shape === '{}' && value instanceof Buffer) {
      const [key, item] = entriesOf(value);
      message[field] = {
        ...(message[field] as Json),
        [String(key?.value)]: decodeValue(type, item?.value ?? Buffer.alloc(0)),
      };
    } else if (shape === '[]') message[field] = [...((message[field] as unknown[]) ?? []), decodeValue(type, value)];
    else {
      const decoded = decodeValue(type, value);
      if (inlined.test(field) && isJson(decoded)) Object.assign(message, decoded);
      // Go writes absent strings, numbers and flags as empty ones; of these only replicas can be meant.
      else if ((decoded || field === 'replicas') && decoded !== '') message[field] = decoded;
    }
  }
  return message;
}

function decodeValue(type: string, value: bigint | Buffer): unknown {
  if (typeof value === 'bigint') return type === 'bool' ? value !== 0n : Number(BigInt.asIntN(64, value));
  const entries = () => new Map(entriesOf(value).map((entry) => [entry.number, entry.value]));
  switch (type) {
    case 'string':
      return value.toString();
    case 'bytes':
      return value.toString('base64');
    case 'quantity':
      return String(entries().get(1) ?? '0');
    case 'intOrString':
      return entries().get(1) === 1n ? String(entries().get(3) ?? '') : Number(entries().get(2) ?? 0n);
    case 'time': {
      const seconds = entries().get(1);
      return typeof seconds === 'bigint'
        ? new Date(Number(seconds) * 1000).toISOString().replace('.000', '')
        : undefined;
    }
    default:
      return decodeMessage(type, value);
  }
}

function entriesOf(bytes: Buffer): readonly Entry[] {
  const entries: Entry[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; at < bytes.length; shift += 7n) {
      const byte = bytes[at++] ?? 0;
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) break;
    }
    return value;
  };
  while (at < bytes.length) {
    const tag = Number(varint());
    const number = tag >> 3;
    if ((tag & 7) === 0) entries.push({ number, value: varint() });
    else if ((tag & 7) === 2) {
      const length = Number(varint());
      entries.push({ number, value: bytes.subarray(at, at + length) });
      at += length;
    } else at += (tag & 7) === 1 ? 8 : 4;
  }
  return entries;
}
