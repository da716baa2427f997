import type { TokenIssuer } from '../api.ts';
import type { Pod } from '../workloads/kinds.ts';

/** As long as any pod lives. The token is bound to the pod and no longer accepted when the pod is gone. */
const expirationSeconds = 10 * 365 * 24 * 3600;

/** A kubeconfig with the access of the pod's ServiceAccount, for any client; it names its own namespace as the default. */
export function kubeconfigOf(
  { tokens, apiUrl }: { readonly tokens: TokenIssuer; readonly apiUrl: string },
  { metadata: { namespace = '', name, uid = '' }, spec }: Pod,
): string {
  const serviceAccount = spec.serviceAccountName ?? 'default';
  const token = tokens.issue({ namespace, serviceAccount, audiences: [], expirationSeconds, pod: { name, uid } });
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'local', cluster: { server: apiUrl } }],
    users: [{ name: serviceAccount, user: { token } }],
    contexts: [{ name: 'local', context: { cluster: 'local', user: serviceAccount, namespace } }],
    'current-context': 'local',
  });
}
