/** Where the parts of Roundhouse run in the local cluster, named as in an installation on Kubernetes. */
export const systemNamespace = 'roundhouse-system';
export const version = '0.1.0';

export const images = {
  controller: `roundhouse/controller:${version}`,
  router: `roundhouse/router:${version}`,
  agent: `roundhouse/agent:${version}`,
  modelServer: `roundhouse/model-server:${version}`,
} as const;

/** Container ports as on Kubernetes; the local node gives each of them a free port of its own. */
export const ports = {
  control: 9443,
  controllerHealth: 8081,
  controllerMetrics: 8080,
  controllerApi: 8082,
  router: 8080,
  routerOps: 9090,
} as const;
