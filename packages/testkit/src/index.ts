export { type ArchiveEntry, tarOf, zipOf } from './archives.ts';
export { type StepClock, stepClock } from './clock.ts';
export { type FakeGcs, startFakeGcs } from './stores/gcs.ts';
export { type FakeHttpStore, type HttpStoreKnobs, startFakeHttpStore } from './stores/http.ts';
export { type FakeS3, startFakeS3 } from './stores/s3.ts';
export type { FakeServer } from './stores/server.ts';
