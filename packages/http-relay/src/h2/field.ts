import { isFieldValue, isToken } from '../bytes.ts';
import { notHereName } from '../fields.ts';
import { timingName } from '../timing.ts';

/** What a field means to the relay. */
export const kinds = {
  plain: 0,
  /** Makes the message malformed: upper case, bytes that no field has, HTTP/1.1's connection fields, unknown pseudo-fields. */
  forbidden: 1,
  method: 2,
  scheme: 3,
  authority: 4,
  path: 5,
  status: 6,
  host: 7,
  te: 8,
  contentType: 9,
  contentLength: 10,
  grpcStatus: 11,
  modelId: 12,
  vmodelId: 13,
  requestId: 14,
  notHere: 15,
  traceparent: 16,
  timing: 17,
  credential: 18,
} as const;

const kindOf: ReadonlyMap<string, number> = new Map<string, number>([
  [':method', kinds.method],
  [':scheme', kinds.scheme],
  [':authority', kinds.authority],
  [':path', kinds.path],
  [':status', kinds.status],
  ['host', kinds.host],
  ['te', kinds.te],
  ['content-type', kinds.contentType],
  ['content-length', kinds.contentLength],
  ['grpc-status', kinds.grpcStatus],
  ['mm-model-id', kinds.modelId],
  ['mm-vmodel-id', kinds.vmodelId],
  ['x-request-id', kinds.requestId],
  [notHereName, kinds.notHere],
  ['traceparent', kinds.traceparent],
  [timingName, kinds.timing],
  ['authorization', kinds.credential],
  ['x-api-key', kinds.credential],
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'].map(
    (name) => [name, kinds.forbidden] as const, // RFC 9113 8.2.2
  ),
]);

/** One header field. Those in a table are shared by all messages that refer to them, so what is known of them is known once. */
export class Field {
  readonly name: string;
  /** Latin-1. */
  readonly value: string;
  readonly kind: number;
  /** Its sender wants it in no table: RFC 7541 7.1.3. */
  readonly secret: boolean;
  /** Its place in the static table, and that of the first field with its name; 0: none, -1: nobody has looked yet. */
  fixed = -1;
  fixedName = -1;
  #key: string | undefined;

  /** `kind`: where it is known already. */
  constructor(name: string, value: string, secret = false, kind?: number) {
    this.name = name;
    this.value = value;
    this.secret = secret;
    this.kind = kind ?? (isValid(name, value) ? (kindOf.get(name) ?? kinds.plain) : kinds.forbidden);
  }

  /** `like` with another value: what is known of its name holds. */
  static like({ name, kind }: Field, value: string, secret: boolean): Field {
    return new Field(name, value, secret, kind === kinds.forbidden || isValue(value) ? kind : kinds.forbidden);
  }

  /** As tables count it: RFC 7541 4.1. */
  get size(): number {
    return this.name.length + this.value.length + 32;
  }

  get key(): string {
    this.#key ??= `${this.name}\n${this.value}`;
    return this.#key;
  }
}

function isValid(name: string, value: string): boolean {
  const pseudo = name.charCodeAt(0) === 0x3a;
  if (pseudo && !kindOf.has(name)) return false;
  for (let i = pseudo ? 1 : 0; i < name.length; i++) {
    const byte = name.charCodeAt(i);
    if (!isToken(byte) || (byte >= 0x41 && byte <= 0x5a)) return false;
  }
  return name.length > 0 && isValue(value);
}

function isValue(value: string): boolean {
  for (let i = 0; i < value.length; i++) if (!isFieldValue(value.charCodeAt(i))) return false;
  return true;
}
