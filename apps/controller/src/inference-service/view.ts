import type { Traffic } from './traffic.ts';

export type OwnModel = {
  readonly storageUri: string;
  readonly framework: string;
  /** The service's. */
  readonly annotations: Readonly<Record<string, string>>;
};

/** An InferenceService as its models, its replicas and routers see it. */
export type ServiceView = {
  readonly uid: string;
  readonly createdMs: number;
  /** Changes when models must be planned again: another runtime, capacity, or kind of service. */
  readonly planning: string;
  readonly multiModel: boolean | undefined;
  /** The one model of a service that is not shared, named after it. */
  readonly own: OwnModel | undefined;
  readonly runtime: { readonly name: string; readonly formats: readonly string[] } | undefined;
  readonly supports: (framework: string) => boolean;
  readonly capacityBytes: number | undefined;
  readonly gpuCapacityBytes: number | undefined;
  readonly replicas: number;
  readonly protocol: string;
  readonly ready: boolean;
  readonly whyNot: string | undefined;
  readonly url: string;
  readonly addressUrl: string;
  /** Without those that an older service has. */
  readonly hosts: readonly string[];
  readonly pathPrefixes: readonly string[];
  readonly traffic: Traffic;
};
