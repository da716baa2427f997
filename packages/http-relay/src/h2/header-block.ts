import { notHereName } from '../fields.ts';
import { Field, kinds } from './field.ts';

const plainScheme = new Field(':scheme', 'http');

let lastSerial = 0;

/** The header fields of one message, or its trailers, and what they say to the relay. */
export class HeaderBlock {
  /** A small number, nearly its own. */
  readonly serial: number;
  readonly fields: readonly Field[];
  /** Larger than we take; `fields` is incomplete. */
  readonly tooLarge: boolean;
  /** Against RFC 9113 8.2 or 8.3, whatever kind of message it is. */
  malformed = false;
  method: Field | undefined;
  scheme: Field | undefined;
  /** From `:authority`, or else from `host`. */
  authority: Field | undefined;
  path: Field | undefined;
  /** 0 when there is none. */
  status = 0;
  /** -1 when there is none. */
  grpcStatus = -1;
  /** Names the model, so that the message need not be looked at. */
  model: Field | undefined;
  isGrpc = false;
  hasTrace = false;
  wantsTiming = false;
  requestId: Field | undefined;
  notHere = false;
  /** What goes on: without the fields that concern nobody else, and with ours once they are added. */
  readonly kept: Field[] = [];
  #added = false;
  #forwarded: HeaderBlock | undefined;
  #forwardedWay = 0;

  constructor(fields: readonly Field[], tooLarge = false) {
    lastSerial = (lastSerial + 1) & 0xffffff;
    this.serial = lastSerial;
    this.fields = fields;
    this.tooLarge = tooLarge;
    let pseudo = true;
    for (const field of fields) {
      const isPseudo = field.kind >= kinds.method && field.kind <= kinds.status;
      if (isPseudo && !pseudo) this.malformed = true;
      pseudo = isPseudo;
      this.#take(field);
    }
    const isRequest = this.method !== undefined || this.path !== undefined || this.scheme !== undefined;
    if (isRequest && (this.method === undefined || this.path === undefined || this.scheme === undefined)) {
      this.malformed = true;
    }
    if (isRequest && this.status !== 0) this.malformed = true;
  }

  /** Adds our own fields, once. */
  add(own: readonly Field[]): void {
    if (!this.#added) this.kept.push(...own);
    this.#added = true;
  }

  /** An answer of our own, with the marker "not here" if it says that. */
  asOurs(notHere: boolean): this {
    if (notHere) this.kept.push(new Field(notHereName, '1'));
    return this;
  }

  /** The same message as it goes on: with `pathCut` bytes less of its path, and without credentials if they were for us. */
  forwarded(pathCut: number, dropsCredentials: boolean): HeaderBlock {
    if (pathCut === 0 && !dropsCredentials) return this;
    const way = pathCut * 2 + Number(dropsCredentials);
    if (this.#forwarded === undefined || this.#forwardedWay !== way) {
      const kept = this.kept.filter(({ kind }) => !(dropsCredentials && kind === kinds.credential));
      this.#forwarded = new HeaderBlock([]);
      this.#forwarded.kept.push(
        ...kept.map((field) => (field === this.path ? new Field(':path', field.value.slice(pathCut)) : field)),
      );
      this.#forwardedWay = way;
    }
    return this.#forwarded;
  }

  #take(field: Field): void {
    switch (field.kind) {
      case kinds.forbidden:
        this.malformed = true;
        return;
      case kinds.method:
        if (this.method !== undefined) this.malformed = true;
        this.method = field;
        break;
      case kinds.scheme:
        if (this.scheme !== undefined) this.malformed = true;
        this.scheme = field;
        this.kept.push(plainScheme); // TLS ends here, and what goes on says so
        return;
      case kinds.path:
        if (this.path !== undefined || !field.value.startsWith('/')) this.malformed = true;
        this.path = field;
        break;
      case kinds.authority:
        if (this.authority !== undefined) this.malformed = true;
        this.authority = field;
        break;
      case kinds.host:
        if (this.authority === undefined) this.kept.unshift(new Field(':authority', field.value));
        else if (this.authority.value !== field.value) this.malformed = true;
        this.authority ??= field;
        return;
      case kinds.status:
        if (this.status !== 0 || !/^[1-5]\d\d$/.test(field.value)) this.malformed = true;
        this.status = Number(field.value) || 0;
        break;
      case kinds.te:
        if (field.value !== 'trailers') this.malformed = true; // RFC 9113 8.2.2
        break;
      case kinds.contentType:
        this.isGrpc = /^application\/grpc(?:[+;]|$)/.test(field.value);
        break;
      case kinds.contentLength:
        return; // frames say how long it is; a second opinion helps nobody
      case kinds.grpcStatus:
        this.grpcStatus = /^\d{1,2}$/.test(field.value) ? Number(field.value) : 2;
        break;
      case kinds.modelId:
        this.model = field;
        break;
      case kinds.vmodelId:
        this.model ??= field;
        break;
      case kinds.requestId:
        this.requestId = field;
        break;
      case kinds.traceparent:
        this.hasTrace = true;
        break;
      case kinds.timing:
        this.wantsTiming = true;
        break;
      case kinds.notHere:
        this.notHere = true;
        return;
    }
    this.kept.push(field);
  }
}
