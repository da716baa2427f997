export { type CredentialSources, type Credentials, credentialsFrom } from './credentials.ts';
export { StorageError, type StorageProblem } from './error.ts';
export {
  createMaterializer,
  type Materialized,
  type MaterializeRequest,
  type Materializer,
  type MaterializerDeps,
  type MaterializerLimits,
  type Progress,
} from './materialize.ts';
export type { StoredObject } from './provider.ts';
export { parseStorageUri, type Scheme, type StorageUri } from './uri.ts';
