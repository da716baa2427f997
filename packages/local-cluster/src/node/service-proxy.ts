import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { type Clock, messageOf, type Random } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import type { Api } from '../api.ts';
import { type EndpointSlice, serviceNameLabel } from '../workloads/endpoints.ts';
import { endpointSlices, type Service, services } from '../workloads/kinds.ts';

export type ServiceProxy = {
  /** `127.0.0.1:port` where connections are passed on to a ready endpoint; the same for as long as the proxy lives. */
  address(namespace: string, service: string, port: number): Promise<string>;
  close(): void;
};

type Target = { readonly host: string; readonly port: number };

/** Endpoints are on this machine: what does not accept by then is stuck. */
const connectMsMax = 2000;

/** Stands in for the cluster's name service and virtual addresses: one listener per port of a Service that is asked for. */
export function createServiceProxy(deps: {
  readonly api: Api;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}): ServiceProxy {
  const listeners = new Map<string, Promise<Server>>();
  const sockets = new Set<Socket>();

  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  };

  const serve = async (client: Socket, namespace: string, service: string, port: number) => {
    track(client);
    client.on('error', () => client.destroy());
    const targets = targetsOf(deps.api, namespace, service, port);
    const offset = Math.floor(deps.random() * targets.length);
    for (const target of [...targets.slice(offset), ...targets.slice(0, offset)]) {
      const upstream = await open(deps.clock, target);
      if (upstream === undefined) continue;
      track(upstream);
      return join(client, upstream);
    }
    client.resetAndDestroy();
  };

  const listen = async (namespace: string, service: string, port: number) => {
    // Half-open, since a client may end its side and still wait for the answer.
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (client) => {
      serve(client, namespace, service, port).catch((error) => {
        deps.log.warn({ service: `${namespace}/${service}`, err: error }, `proxy failed: ${messageOf(error)}`);
        client.destroy();
      });
    });
    server.listen({ host: '127.0.0.1', port: 0 });
    await once(server, 'listening');
    return server;
  };

  return {
    async address(namespace, service, port) {
      const key = `${namespace}/${service}:${port}`;
      const listener = listeners.get(key) ?? listen(namespace, service, port);
      listeners.set(key, listener);
      return `127.0.0.1:${((await listener).address() as AddressInfo).port}`;
    },
    close() {
      for (const listener of listeners.values()) listener.then((server) => server.close()).catch(() => {});
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** The ready endpoints of a Service's port; none when there is no such Service or port. */
function targetsOf(api: Api, namespace: string, name: string, port: number): Target[] {
  const service = api.get(services, namespace, name) as Service | undefined;
  const wanted = service?.spec.ports?.find((one) => one.port === port);
  if (wanted === undefined) return [];
  const slices = api.list(endpointSlices, { namespace, labels: { [serviceNameLabel]: name } }).items;
  return (slices as readonly EndpointSlice[]).flatMap(({ endpoints, ports = [] }) => {
    const actual = ports.find((one) => (one.name ?? '') === (wanted.name ?? ''))?.port;
    const ready = endpoints.filter(({ conditions }) => conditions?.ready !== false);
    return actual === undefined
      ? []
      : ready.flatMap(({ addresses }) => addresses.map((host) => ({ host, port: actual })));
  });
}

/** A connection; undefined when there is none in time. */
async function open(clock: Clock, target: Target): Promise<Socket | undefined> {
  const socket = connect({ ...target, allowHalfOpen: true, noDelay: true });
  const cancel = clock.after(connectMsMax, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => {});
  cancel();
  return socket.destroyed ? undefined : socket;
}

function join(client: Socket, upstream: Socket): void {
  client.setNoDelay(true);
  if (client.destroyed) upstream.destroy();
  client.pipe(upstream);
  upstream.pipe(client);
  // One side broken is both broken; a clean end has been piped on by then.
  client.on('close', () => upstream.destroy());
  upstream.on('close', () => client.destroy());
}
