import type { TokenIssuer } from '../api.ts';
import { kubeconfigFor } from '../kubeconfig.ts';
import type { Pod } from '../workloads/kinds.ts';

/** As long as any pod lives. The token is bound to the pod and no longer accepted when the pod is gone. */
const expirationSeconds = 10 * 365 * 24 * 3600;

/** Where containers reach the API server, and the certificate to trust. */
export type ApiAddress = { readonly url: string; readonly ca: string };

/** A kubeconfig with the access of the pod's ServiceAccount, for any client. */
export function kubeconfigOf(tokens: TokenIssuer, address: ApiAddress, { metadata, spec }: Pod): string {
  const { namespace = '', name, uid = '' } = metadata;
  const serviceAccount = spec.serviceAccountName ?? 'default';
  const token = tokens.issue({ namespace, serviceAccount, audiences: [], expirationSeconds, pod: { name, uid } });
  return kubeconfigFor({ ...address, token });
}
