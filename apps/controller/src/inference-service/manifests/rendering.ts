import type { Names, Predictor, ResolvedPredictor } from '@roundhouse/crds';
import type { Installation } from '../../cluster.ts';
import type { Runtime } from '../runtime.ts';
import type { ServiceIdentity } from './metadata.ts';

/** All that the manifests of one service are made from. */
export type Rendering = {
  readonly names: Names;
  readonly service: ServiceIdentity;
  readonly predictor: Predictor;
  readonly resolved: ResolvedPredictor;
  readonly runtime: Runtime;
  /** Secrets with storage credentials, by name. */
  readonly secrets: readonly string[];
  /** Directories that `file://` artifacts may come from. */
  readonly fileRoots: readonly string[];
  readonly installation: Installation;
};

/** What kind of server the runtime runs, by KServe's annotation or by its name. */
export function serverType({ name, annotations }: Runtime): string {
  return annotations['serving.kserve.io/server-type'] ?? name;
}
