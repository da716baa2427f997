import { childMetadata } from './metadata.ts';
import type { Rendering } from './rendering.ts';

/** The Service by which clients in the cluster reach the agents of all replicas. */
export function serviceFor(rendering: Rendering) {
  const { names, service } = rendering;
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: {
      ...childMetadata(rendering),
      name: names.predictor(service.name),
      namespace: service.namespace,
      ownerReferences: [service.owner],
    },
    spec: {
      type: 'ClusterIP',
      selector: { app: names.app(service.name) },
      ports: [{ name: 'http', protocol: 'TCP', port: 80, targetPort: 9081 }],
    },
  };
}
