/** Who has which host: the oldest service that asks for it. */
export type Hosts = {
  /** Sets what `service` asks for; none when it is gone. Returns the services whose standing may have changed. */
  claim(service: string, hosts: readonly string[], createdMs: number): readonly string[];
  /** The service that has `host`. */
  holderOf(host: string): string | undefined;
};

export function createHosts(): Hosts {
  const claims = new Map<string, Map<string, number>>();
  const asked = new Map<string, readonly string[]>();

  const holderOf = (host: string) => {
    const claimants = [...(claims.get(host) ?? [])];
    return claimants.sort(([a, aMs], [b, bMs]) => aMs - bMs || (a < b ? -1 : 1))[0]?.[0];
  };

  return {
    holderOf,
    claim(service, hosts, createdMs) {
      const before = asked.get(service) ?? [];
      if (before.length === hosts.length && before.every((host, index) => host === hosts[index])) return [];
      const touched = new Set([...before, ...hosts].flatMap((host) => [...(claims.get(host)?.keys() ?? [])]));
      for (const host of before) {
        claims.get(host)?.delete(service);
        if (claims.get(host)?.size === 0) claims.delete(host);
      }
      for (const host of hosts) claims.set(host, (claims.get(host) ?? new Map()).set(service, createdMs));
      if (hosts.length === 0) asked.delete(service);
      else asked.set(service, hosts);
      touched.delete(service);
      return [...touched];
    },
  };
}
