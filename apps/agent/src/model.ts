import { createHash } from 'node:crypto';

/** One model that this replica should hold. `digest` is the controller's name for these values; it goes into reports. */
export type WantedModel = {
  readonly name: string;
  readonly storageUri: string;
  readonly framework: string;
  /** A Kubernetes quantity. */
  readonly memory: string;
  /** Of the artifact, in hex; undefined when not given. */
  readonly sha256: string | undefined;
  /** Name of the mounted Secret to use; undefined for the service's own. */
  readonly secret: string | undefined;
  readonly digest: string;
};

/**
 * Names the content that a model's directory should have: two models of one version need no second download. The agent's
 * own, and not the digest, since a ConfigMap carries none and other credentials fetch the same bytes. 64 hex digits.
 */
export function versionOf(model: WantedModel): string {
  let version = versions.get(model);
  if (version === undefined) {
    const { storageUri, framework, memory, sha256 } = model;
    const content = JSON.stringify([storageUri, framework, memory, sha256 ?? '']);
    version = createHash('sha256').update(content).digest('hex');
    versions.set(model, version);
  }
  return version;
}

/** Asked several times for each step of each model. */
const versions = new WeakMap<WantedModel, string>();

/** What decides how a failed step is tried again (design, "Life of a model"). */
export type FailureClass = 'transient' | 'denied' | 'not-found' | 'invalid' | 'no-space';

export type Failure = {
  readonly stage: 'download' | 'load';
  /** Of the model that failed: another digest is another chance. */
  readonly digest: string;
  readonly class: FailureClass;
  /** CamelCase, for conditions and Events. */
  readonly reason: string;
  readonly message: string;
  readonly attempt: number;
  readonly atEpochMs: number;
  /** By the monotonic clock; Infinity when only a change can help. */
  readonly retryAtMs: number;
  /** The same moment for people; undefined when only a change can help. */
  readonly retryEpochMs: number | undefined;
};

export type ModelState =
  | 'pending'
  | 'downloading'
  | 'downloaded'
  | 'loading'
  | 'loaded'
  | 'draining'
  | 'unloading'
  | 'download-failed'
  | 'load-failed';
