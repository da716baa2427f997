import type { Traffic } from './traffic.ts';

/** An InferenceService as its models, its replicas and routers see it. */
export type ServiceView = {
  readonly uid: string;
  readonly createdMs: number;
  /** Changes when models must be planned again: another runtime, capacity, or kind of service. */
  readonly planning: string;
  readonly multiModel: boolean | undefined;
  readonly runtime: { readonly name: string; readonly formats: readonly string[] } | undefined;
  readonly supports: (framework: string) => boolean;
  readonly capacityBytes: number | undefined;
  readonly replicas: number;
  readonly protocol: string;
  readonly ready: boolean;
  readonly whyNot: string | undefined;
  readonly url: string;
  readonly addressUrl: string;
  /** Without those that an older service has. */
  readonly hosts: readonly string[];
  readonly pathPrefix: string;
  readonly traffic: Traffic;
};
