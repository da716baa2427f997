import type { MessageInitShape } from '@bufbuild/protobuf';
import { status } from '@grpc/grpc-js';
import { messageOf } from '@roundhouse/base';
import type { Peer } from './admission.ts';
import type { RouterHeartbeat, RouterHello, RouterMessage, RoutesSchema, RouteUpdateSchema } from './gen/control_pb.js';

/** One connected router, as a `RouteBoard` serves it. */
export type RouterSession = {
  readonly hello: RouterHello;
  /** False when the router has no room for more. */
  write(routes: MessageInitShape<typeof RoutesSchema>): boolean;
  onAcknowledge(listener: (revision: bigint) => void): void;
  onResync(listener: () => void): void;
  onDrain(listener: () => void): void;
  onHeartbeat(listener: (heartbeat: RouterHeartbeat) => void): void;
  /** Called once, with the reason. */
  onClose(listener: (reason: string) => void): void;
  close(reason: string): void;
};

export type RouterBody = NonNullable<MessageInitShape<typeof RouteUpdateSchema>['body']>;

export function createRouterSession(hello: RouterHello, peer: Peer<RouterMessage, RouterBody>): RouterSession {
  const onAcknowledge: ((revision: bigint) => void)[] = [];
  const onResync: (() => void)[] = [];
  const onHeartbeat: ((heartbeat: RouterHeartbeat) => void)[] = [];

  const receive = ({ body }: RouterMessage) => {
    switch (body.case) {
      case 'acknowledge':
        for (const listener of onAcknowledge) listener(body.value.revision);
        return;
      case 'resync':
        for (const listener of onResync) listener();
        return;
      case 'heartbeat':
        for (const listener of onHeartbeat) listener(body.value);
        return;
      case 'token':
        return peer.renew(body.value.token);
      case 'hello':
        return peer.close(status.INVALID_ARGUMENT, 'a second hello');
      case undefined: // of a newer minor version
    }
  };

  peer.onMessage((message) => {
    try {
      receive(message);
    } catch (error) {
      peer.close(status.INTERNAL, messageOf(error));
    }
  });

  return {
    hello,
    write: (routes) => peer.write({ case: 'routes', value: routes }),
    onAcknowledge: (listener) => void onAcknowledge.push(listener),
    onResync: (listener) => void onResync.push(listener),
    onDrain: (listener) => peer.onDrain(listener),
    onHeartbeat: (listener) => void onHeartbeat.push(listener),
    onClose: (listener) => peer.onClose(listener),
    close: (reason) => peer.close(status.UNAVAILABLE, reason),
  };
}
