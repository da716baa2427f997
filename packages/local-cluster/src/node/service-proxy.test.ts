import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { systemClock } from '@roundhouse/base';
import { silentLog } from '@roundhouse/telemetry';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { LocalApi } from '../create-api.ts';
import { startApi } from '../testing/cluster.ts';
import { endpointSlices, services } from '../workloads/kinds.ts';
import { createServiceProxy, type ServiceProxy } from './service-proxy.ts';

let api: LocalApi;
let proxy: ServiceProxy;
let server: Server;

beforeEach(async () => {
  api = startApi();
  proxy = createServiceProxy({ api, clock: systemClock, random: () => 0, log: silentLog });
  // Answers when the client has said all, which takes a connection that is closed on one side.
  server = createServer({ allowHalfOpen: true }, (socket) => {
    text(socket).then(
      (said) => socket.end(`you said ${said}`),
      () => {},
    );
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  api.create(services, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default' },
    spec: { ports: [{ name: 'http', port: 80 }] },
  });
});

afterEach(() => {
  proxy.close();
  server.close();
});

function addEndpoint(name: string, port: number, ready: boolean): void {
  api.create(endpointSlices, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name, namespace: 'default', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['127.0.0.1'], conditions: { ready } }],
    ports: [{ name: 'http', port }],
  });
}

async function say(words: string, port = 80): Promise<string> {
  const address = await proxy.address('default', 'web', port);
  const socket = connect({ host: '127.0.0.1', port: Number(address.split(':')[1]), allowHalfOpen: true });
  socket.end(words);
  return text(socket);
}

const portOf = (of: Server) => (of.address() as AddressInfo).port;

describe('the service proxy', () => {
  it('passes on to a ready endpoint, and to the next when the first does not accept', async () => {
    const refusing = createServer().listen(0, '127.0.0.1');
    await once(refusing, 'listening');
    const deadPort = portOf(refusing);
    refusing.close();
    await once(refusing, 'close');
    addEndpoint('a', deadPort, true);
    addEndpoint('b', portOf(server), true);

    expect(await say('hello')).toBe('you said hello');
    expect(await proxy.address('default', 'web', 80)).toBe(await proxy.address('default', 'web', 80));
  });

  it('resets at once when there is nobody to pass on to', async () => {
    addEndpoint('a', portOf(server), false);

    await expect(say('hello')).rejects.toThrow('ECONNRESET');
    await expect(say('hello', 81)).rejects.toThrow('ECONNRESET');
  });
});
