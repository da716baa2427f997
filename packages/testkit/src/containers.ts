import type { ClusterRequests } from './cluster-requests.ts';

type Pod = {
  readonly metadata: { readonly name: string };
  readonly status?: {
    readonly containerStatuses?: readonly {
      readonly name: string;
      readonly containerID?: string;
      readonly state?: { readonly running?: unknown };
    }[];
  };
};

/** The process of a running container, or undefined. The local node names it in `containerID`: `process://<pid>`. */
export async function pidOf(
  api: ClusterRequests,
  namespace: string,
  podPrefix: string,
  container: string,
): Promise<number | undefined> {
  const { items } = await api.get<{ items: readonly Pod[] }>(`/api/v1/namespaces/${namespace}/pods`);
  const status = items
    .filter(({ metadata }) => metadata.name.startsWith(podPrefix))
    .flatMap(({ status }) => status?.containerStatuses ?? [])
    .find(({ name, state }) => name === container && state?.running !== undefined);
  const pid = Number(/^process:\/\/(\d+)/.exec(status?.containerID ?? '')?.[1]);
  return pid > 0 ? pid : undefined;
}
