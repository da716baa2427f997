import { once } from 'node:events';
import { createServer } from 'node:net';
import { CodedError, type Random } from '@roundhouse/base';
import type { PodSpec } from 'kubernetes-types/core/v1.js';
import type { PodPorts } from '../workloads/kinds.ts';

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

  const take = async (owner: string, port: number): Promise<boolean> => {
    if ((owners.get(port) ?? owner) !== owner) return false;
    owners.set(port, owner);
    const isTaken = await isFree(port);
    if (!isTaken) owners.delete(port);
    return isTaken;
  };

  const takeAny = async (owner: string): Promise<number> => {
    for (let attempt = 0; attempt < attemptsMax; attempt++) {
      const port = portMin + Math.floor(random() * (portMax - portMin));
      if (!owners.has(port) && (await take(owner, port))) return port;
    }
    throw new CodedError('cluster/ports', `no free port between ${portMin} and ${portMax} on 127.0.0.1`);
  };

  return {
    async claim(owner, { containers }, before) {
      const ports: Record<string, Record<string, number>> = {};
      for (const { name, ports: declared = [] } of containers) {
        const own: Record<string, number> = {};
        ports[name] = own;
        for (const { containerPort, hostPort } of declared) {
          const wanted = hostPort ?? before[name]?.[containerPort];
          const isTaken = wanted !== undefined && (await take(owner, wanted));
          if (hostPort !== undefined && !isTaken) {
            const why = `port ${hostPort} on 127.0.0.1 is taken by another program or pod`;
            throw new CodedError('cluster/host-port', why);
          }
          own[containerPort] = isTaken ? wanted : await takeAny(owner);
        }
      }
      return ports;
    },
    release(owner) {
      for (const [port, holder] of owners) if (holder === owner) owners.delete(port);
    },
  };
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer().listen({ host: '127.0.0.1', port, exclusive: true });
  try {
    await once(server, 'listening');
    return true;
  } catch {
    return false;
  } finally {
    server.close();
  }
}
