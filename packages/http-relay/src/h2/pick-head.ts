import type { PickHead } from '../exchange.ts';
import { type Route, routes } from '../route.ts';
import type { Field } from './field.ts';
import type { HeaderBlock } from './header-block.ts';

/** What the picker is told of a gRPC request. Reused. */
export class GrpcHead implements PickHead {
  bytes: Buffer = Buffer.alloc(0);
  readonly hostStart = 0;
  hostEnd = 0;
  pathStart = 0;
  pathEnd = 0;
  route: Route = routes.unknown;
  modelBytes: Buffer = this.bytes;
  readonly modelStart = 0;
  modelEnd = 0;
  #block: HeaderBlock | undefined;
  #authority: Field | undefined;
  #path: Field | undefined;

  /** Whom it is for. Requests for the same come in rows: their fields are the same objects. */
  target(block: HeaderBlock): void {
    const { authority } = block;
    const path = block.path!;
    this.#block = block;
    this.route = routes.unknown;
    this.modelEnd = 0;
    if (this.#authority === authority && this.#path === path) return;
    this.#authority = authority;
    this.#path = path;
    const host = authority?.value ?? '';
    this.bytes = Buffer.from(host + path.value, 'latin1');
    this.hostEnd = host.replace(/:\d*$/, '').length;
    this.pathStart = host.length;
    this.pathEnd = this.bytes.length;
  }

  asksFor(route: Route, model: Buffer): void {
    this.route = route;
    this.modelBytes = model;
    this.modelEnd = model.length;
  }

  field(name: string): string | undefined {
    return this.#block?.fields.find((field) => field.name === name)?.value;
  }

  modelName(): string {
    return this.modelBytes.toString('latin1', 0, this.modelEnd);
  }
}
