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
export { type LocalCluster, startLocalCluster } from './cluster.ts';
export { createApi, type LocalApi } from './create-api.ts';
export { kubeconfigFor } from './kubeconfig.ts';
export type { Command, ContainerView, Images } from './node/images.ts';
export { serveApi } from './serve-api.ts';
export { openStore, type Store } from './store.ts';
