import { corrupt } from '../model.ts';

/**
 * Checks that following `childrenOf` from node 0 stays inside the tree and meets no node twice, so that a walk always ends at a
 * leaf. `childrenOf` gives undefined on a leaf. Returns 1 for each node that can be reached.
 */
export function checkTree(
  nodes: number,
  childrenOf: (node: number) => readonly [number, number] | undefined,
): Uint8Array {
  if (nodes === 0) throw corrupt('a tree has no nodes');
  const seen = new Uint8Array(nodes);
  const open = [0];
  seen[0] = 1;
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    for (const child of childrenOf(node) ?? []) {
      if (!(child >= 0 && child < nodes)) throw corrupt(`a tree of ${nodes} nodes refers to node ${child}`);
      if (seen[child] === 1) throw corrupt(`node ${child} of a tree is reached twice`);
      seen[child] = 1;
      open.push(child);
    }
  }
  return seen;
}
