import type { ResourceName } from '@roundhouse/crds';

/**
 * One permission and what it is for. `cluster` reaches the whole cluster in every installation; `served` the namespaces whose objects
 * are served (all, unless some were chosen); `own` only the namespace that the controller runs in.
 */
export type Need = {
  readonly scope: 'cluster' | 'served' | 'own';
  readonly group: string;
  /** Plural, with its subresource: `trainedmodels/status`. */
  readonly resource: string;
  readonly verbs: readonly Verb[];
  /** Only objects of these names. */
  readonly names?: readonly string[];
  readonly why: string;
};

export type Verb = 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete';

export const follow: readonly Verb[] = ['list', 'watch'];

/** A need of objects in the served namespaces. */
export function served(
  { group, resource }: Pick<ResourceName, 'group' | 'resource'>,
  verbs: readonly Verb[],
  why: string,
  subresource = '',
): Need {
  return { scope: 'served', group, resource: `${resource}${subresource && `/${subresource}`}`, verbs, why };
}
