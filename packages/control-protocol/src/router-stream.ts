import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { routeMethod } from './codec.ts';
import { type Connection, type Deps, keepStream } from './connection.ts';
import {
  type RouterHelloSchema,
  type RouterMessageSchema,
  type Routes,
  RoutesSchema,
  type RouteUpdate,
} from './gen/control_pb.js';
import { createStateReceiver } from './state-stream.ts';

/** What a router says about itself; minor and epoch are added. */
export type RouterHelloFields = Omit<MessageInitShape<typeof RouterHelloSchema>, '$typeName' | 'minor' | 'epoch'>;

export type RouteStreamOptions = {
  readonly connection: Connection;
  /** Called at each connection. */
  hello(): RouterHelloFields;
  /**
   * A snapshot replaces the whole table, anything else changes it. It is acknowledged when this returns: from then on
   * nothing may be sent by older routes.
   */
  apply(update: { readonly snapshot: boolean; readonly routes: Routes }): void;
  /** Called when the stream opens, before the first snapshot on it, and when it is cut: until the next snapshot, changes are missed. */
  onConnection?(connected: boolean): void;
};

export type RouteStream = {
  /** Adds to the counts that the next heartbeat carries. */
  traffic(requests: number, errors: number): void;
  /** Keeps the stream open until `signal` aborts. */
  run(signal: AbortSignal): Promise<void>;
  readonly connected: boolean;
};

type Body = NonNullable<MessageInitShape<typeof RouterMessageSchema>['body']>;

/** The router's end of the control stream. */
export function openRoutes(deps: Deps, { connection, hello, apply, onConnection }: RouteStreamOptions): RouteStream {
  const counts = { requests: 0, errors: 0 };
  let connected = false;

  const open = (write: (body: Body) => boolean) => {
    const receiver = createStateReceiver<Routes>({
      apply: (parts, snapshot) => apply({ snapshot, routes: joined(parts) }),
      acknowledge: (revision) => void write({ case: 'acknowledge', value: { revision } }),
      resync: (reason) => void write({ case: 'resync', value: { reason } }),
    });
    return {
      welcomed() {
        connected = true;
        onConnection?.(true);
      },
      receive({ body }: RouteUpdate) {
        if (body.case === 'routes') receiver.receive(body.value.revision, body.value);
      },
      drained() {},
      heartbeat(): Body {
        const value = { requests: BigInt(counts.requests), errors: BigInt(counts.errors) };
        counts.requests = counts.errors = 0;
        return { case: 'heartbeat', value };
      },
      closed() {
        if (connected) onConnection?.(false);
        connected = false;
      },
    };
  };

  return {
    traffic(requests, errors) {
      counts.requests += requests;
      counts.errors += errors;
    },
    run: (signal) =>
      keepStream<Body, RouteUpdate>(
        deps,
        {
          connection,
          method: routeMethod,
          hello: (epoch) => ({ case: 'hello', value: { ...hello(), minor: 0, epoch } }),
          renewal: (token) => ({ case: 'token', value: { token } }),
          open,
        },
        signal,
      ),
    get connected() {
      return connected;
    },
  };
}

/** The chunks of a snapshot as one message. */
function joined(parts: readonly Routes[]): Routes {
  const [only, ...others] = parts;
  if (only !== undefined && others.length === 0) return only;
  return create(RoutesSchema, {
    services: parts.flatMap(({ services }) => services),
    replicas: parts.flatMap(({ replicas }) => replicas),
    models: parts.flatMap(({ models }) => models),
  });
}
