export { isKubeError, KubeError, type KubeErrorCode } from './errors.ts';
export { createEventRecorder, type EventFields, type EventRecorder } from './event-recorder.ts';
export { createInformer, type Informer } from './informer.ts';
export { type Kube, openKube } from './kube.ts';
export { runAsLeader } from './leader.ts';
export { type KubeObject, keyOf, type Resource } from './object.ts';
export { createWorkQueue, type WorkQueue } from './work-queue.ts';
