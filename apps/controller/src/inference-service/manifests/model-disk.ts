import { annotations, bytesOf, parseQuantity } from '@roundhouse/crds';
import type { Container } from './container.ts';
import type { Rendering } from './rendering.ts';

const diskBytesMin = 16 * 2 ** 30;
/** Artifacts are about as large as what they become; two versions of each, some paged out, and room for archives. */
const diskPerMemory = 8;

/**
 * The size limit of the models' volume, a bound for the node's sake: what the service says, or far more than models that fit the memory
 * take. The agent keeps to it, since a kubelet evicts a pod that does not.
 */
export function modelDiskFor({ annotations: said }: Rendering['service'], server: Container): string {
  const asked = said[annotations.modelDisk];
  if (asked !== undefined && parseQuantity(asked) !== undefined) return asked;
  const bytes = Math.max(diskBytesMin, diskPerMemory * (bytesOf(server.resources?.limits?.memory) ?? 0));
  return `${Math.ceil(bytes / 2 ** 30)}Gi`;
}
