import { grpcPortOf } from './container.ts';
import { childMetadata } from './metadata.ts';
import type { Rendering } from './rendering.ts';
import { modelServer } from './server.ts';

/** The Service by which clients in the cluster reach the agents of all replicas. */
export function serviceFor(rendering: Rendering) {
  const { names, service, config } = rendering;
  const grpcPort = grpcPortOf(modelServer(rendering));
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
      ...(config.service.serviceClusterIPNone === true ? { clusterIP: 'None' } : {}),
      selector: { app: names.app(service.name) },
      // The agent takes HTTP/1.1 and HTTP/2 on one port; meshes and gateways want to know which is meant.
      ports: [
        { name: 'http', protocol: 'TCP', port: 80, targetPort: 9081, appProtocol: 'http' },
        ...(grpcPort === undefined
          ? []
          : [{ name: 'grpc', protocol: 'TCP', port: grpcPort, targetPort: 9081, appProtocol: 'kubernetes.io/h2c' }]),
      ],
    },
  };
}
