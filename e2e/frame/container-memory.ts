import type { World } from './world.ts';

/** Bytes by container name; of several containers of one name the largest counts. */
export type MemoryUse = ReadonlyMap<string, number>;

type Summary = {
  readonly pods: readonly {
    readonly containers?: readonly { readonly name: string; readonly memory?: { readonly rssBytes?: number } }[];
  }[];
};

/** What the kubelets last measured, without files that the kernel caches. */
export async function readMemory(kubectl: World['kubectl']): Promise<MemoryUse> {
  const nodes = (await kubectl(['get', 'nodes', '-o', 'jsonpath={.items[*].metadata.name}'])).split(' ');
  const use = new Map<string, number>();
  for (const node of nodes) {
    const { pods }: Summary = JSON.parse(await kubectl(['get', '--raw', `/api/v1/nodes/${node}/proxy/stats/summary`]));
    for (const { name, memory } of pods.flatMap(({ containers = [] }) => containers))
      use.set(name, Math.max(use.get(name) ?? 0, memory?.rssBytes ?? 0));
  }
  return use;
}
