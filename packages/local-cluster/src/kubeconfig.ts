import { stringify } from 'yaml';

/** A kubeconfig's text for the API server at `url`, whose certificate `ca` vouches for. It holds the token: write it readable by its owner alone. */
export function kubeconfigFor(access: { readonly url: string; readonly ca: string; readonly token: string }): string {
  const { url, ca, token } = access;
  const name = 'roundhouse';
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: url, 'certificate-authority-data': Buffer.from(ca).toString('base64') } }],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: 'default' } }],
    'current-context': name,
  });
}
