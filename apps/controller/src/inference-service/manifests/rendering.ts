import type { Names, Predictor, ResolvedPredictor } from '@roundhouse/crds';
import type { Installation } from '../../cluster.ts';
import type { Autoscaling } from '../autoscaling.ts';
import type { Runtime } from '../runtime.ts';
import type { ServiceConfig } from '../service-config.ts';
import type { ServiceIdentity } from './metadata.ts';

/** All that the manifests of one service are made from. */
export type Rendering = {
  readonly names: Names;
  readonly service: ServiceIdentity;
  readonly predictor: Predictor;
  readonly resolved: ResolvedPredictor;
  readonly runtime: Runtime;
  readonly autoscaling: Autoscaling;
  /** Settings for all services. */
  readonly config: ServiceConfig;
  readonly storage: StorageAccess;
  /** Directories that `file://` artifacts may come from. */
  readonly fileRoots: readonly string[];
  readonly installation: Installation;
};

/** How the agent gets at artifacts. */
export type StorageAccess = {
  /** Secrets with credentials, by name; they are mounted, never read here. */
  readonly secrets: readonly string[];
  /** Settings of stores that annotations give, as environment variables. */
  readonly env: Readonly<Record<string, string>>;
};
