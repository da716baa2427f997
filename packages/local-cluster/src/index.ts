export {
  type Api,
  ApiError,
  type KubeObject,
  type ObjectMeta,
  type OwnerReference,
  type PodLogs,
  type Resource,
  type TokenIssuer,
  type WatchEvent,
} from './api.ts';
export type { Command, ContainerView, Images } from './node/images.ts';
export { type LocalNode, startNode } from './node/node.ts';
export { startWorkloads } from './workloads/workloads.ts';
