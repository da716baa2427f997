/** An object as kstatus looks at it. */
export type Watched = {
  readonly metadata: { readonly generation?: number; readonly deletionTimestamp?: string };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
};

export type Status = 'Current' | 'Failed' | 'InProgress' | 'Terminating';

/**
 * What GitOps tools conclude from an object whose kind they do not know: the rules of kstatus for custom resources
 * (sigs.k8s.io/cli-utils, pkg/kstatus/README.md, "Conditions").
 */
export function statusOf({ metadata, status = {} }: Watched): Status {
  const { observedGeneration, conditions = [] } = status;
  const is = (type: string, value: string) => conditions.some((c) => c.type === type && c.status === value);
  if (metadata.deletionTimestamp !== undefined) return 'Terminating';
  if (observedGeneration !== undefined && observedGeneration !== metadata.generation) return 'InProgress';
  if (is('Stalled', 'True')) return 'Failed';
  if (is('Reconciling', 'True')) return 'InProgress';
  if (is('Ready', 'False') || is('Ready', 'Unknown')) return 'InProgress';
  return 'Current';
}
