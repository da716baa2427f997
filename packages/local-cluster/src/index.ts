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
