import { stringify } from 'yaml';

/** A kubeconfig's text for the API server at `url`. It holds the token: write it readable by its owner alone. */
export function kubeconfigFor({ url, token }: { readonly url: string; readonly token: string }): string {
  const name = 'roundhouse';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  });
}
