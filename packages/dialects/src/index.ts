export { detectDialect } from './detect.ts';
export type { Dialect, DialectName, ListedModel } from './dialect.ts';
export { dialectFor, dialectNames } from './dialects.ts';
export type { Arrangement, Artifact, Layout } from './layout.ts';
export {
  type ModelServer,
  openModelServer,
  type ServerAddress,
  type ServerDeadlines,
  type ServerErrorCode,
} from './model-server.ts';
