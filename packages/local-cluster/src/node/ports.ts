import { once } from 'node:events';
import { createServer } from 'node:net';
import { CodedError, type Random } from '@roundhouse/base';
import { allContainers, type PodPorts, type PodSpec } from '../workloads/kinds.ts';

export type Ports = {
  /** A port of this machine for every port of the pod, those it had before if they are free. Throws `cluster/host-port`. */
  claim(owner: string, spec: PodSpec, before: PodPorts): Promise<PodPorts>;
  release(owner: string): void;
};

// Below the range that systems take the ports of outgoing connections from: such a connection could otherwise take a
// container's port while it restarts.
const portMin = 15_000;
const portMax = 32_000;
const attemptsMax = 200;

export function createPorts(random: Random): Ports {
  const owners = new Map<number, string>();

  const take = async (owner: string, port: number) => {
    const holder = owners.get(port);
    if (holder !== undefined && holder !== owner) return false;
    owners.set(port, owner);
    if (await isFree(port)) return true;
    if (holder === undefined) owners.delete(port);
    return false;
  };

  const takeAny = async (owner: string) => {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const port = portMin + Math.floor(random() * (portMax - portMin));
      if (!owners.has(port) && (await take(owner, port))) return port;
    }
    throw new CodedError('cluster/ports', `no free port between ${portMin} and ${portMax} on 127.0.0.1`);
  };

  const release = (owner: string) => {
    for (const [port, holder] of owners) if (holder === owner) owners.delete(port);
  };

  return {
    async claim(owner, spec, before) {
      const ports: Record<string, Record<string, number>> = {};
      try {
        for (const { name, ports: declared = [] } of allContainers(spec)) {
          for (const { containerPort, hostPort } of declared) {
            const wanted = hostPort ?? before[name]?.[containerPort];
            const taken = wanted !== undefined && (await take(owner, wanted));
            if (hostPort !== undefined && !taken) {
              throw new CodedError(
                'cluster/host-port',
                `port ${hostPort} on 127.0.0.1 is taken by another program or pod`,
              );
            }
            ports[name] = { ...ports[name], [containerPort]: taken ? wanted : await takeAny(owner) };
          }
        }
      } catch (error) {
        release(owner);
        throw error;
      }
      return ports;
    },
    release,
  };
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen({ host: '127.0.0.1', port, exclusive: true });
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
