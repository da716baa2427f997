export { type ArchiveEntry, tarOf, zipOf } from './archives.ts';
export { type StepClock, stepClock } from './clock.ts';
export {
  aModel,
  aService,
  type ClusterRequests,
  clusterRequests,
  inferenceServices,
  trainedModels,
} from './cluster-requests.ts';
export { constantModel } from './constant-model.ts';
export { pidOf } from './containers.ts';
export { type Load, type LoadResult, type LoadTarget, startLoad } from './load.ts';
export { type FakeModelServer, type Script, startFakeModelServer } from './model-server.ts';
export { deepTreeOnnx, writeMatrixOnnx } from './onnx-file.ts';
export { type Stack, type StackOptions, startStack } from './stack.ts';
export { type FakeGcs, startFakeGcs } from './stores/gcs.ts';
export { type FakeHttpStore, type HttpStoreKnobs, startFakeHttpStore } from './stores/http.ts';
export { type FakeS3, s3Keys, startFakeS3 } from './stores/s3.ts';
export type { FakeServer } from './stores/server.ts';
