import { aModel, aService, clusterRequests } from '@roundhouse/testkit';
import { adminAccess, clusterKubectl, testObjects } from './cluster-world.ts';
import { type ChartOptions, imagesOf, installChart, systemNamespace } from './installation.ts';
import { actions, until } from './world.ts';

/**
 * Installs the chart on an empty cluster and waits for the first prediction of a new service, as somebody who tries it would see it.
 * Resolves with where the router is and with the seconds of each phase.
 */
export async function installAndPredict(options: ChartOptions) {
  const kubectl = await clusterKubectl(options.kubeconfig);
  const [image = ''] = imagesOf(options.registry, options.tag);
  const objects = await testObjects({ image });
  // by the server: a client-side apply would copy the stores' program, 0.7 MB, into an annotation, of which 256 KiB are allowed
  await kubectl(['apply', '--server-side', '-f', '-'], objects.map((object) => JSON.stringify(object)).join('\n---\n'));
  await kubectl(['rollout', 'status', '-n', 'roundhouse-e2e', 'deployment/artifacts', '--timeout=60s']);
  await kubectl(['create', 'namespace', systemNamespace]);
  const restricted = 'pod-security.kubernetes.io/enforce=restricted';
  await kubectl(['label', 'namespace', systemNamespace, 'default', restricted]);

  const phases: Record<string, number> = {};
  const began = performance.now();
  let last = began;
  const phase = (name: string) => {
    const now = performance.now();
    phases[name] = (now - last) / 1000;
    last = now;
  };
  await installChart(options);
  phase('helm install, until controllers and routers are available');
  const routerUrl = await routerUrlOf(kubectl);
  const world = actions(kubectl, clusterRequests(await adminAccess(kubectl)), routerUrl);
  last = performance.now(); // what only the test needs does not count
  await world.apply(
    aService('first'),
    aModel('first', 'first', 'http://artifacts.roundhouse-e2e.svc:8080/7/after-0/first/model.json'),
  );
  phase('kubectl apply of a service and a model');
  await kubectl(['wait', '--for=condition=Ready', 'isvc/first', '--timeout=60s']);
  phase('the model server is Ready');
  await until('the first prediction', async () => (await world.predict('first', 'first')).value === 7, 60_000);
  phase('the first prediction');
  await kubectl(['delete', 'isvc/first', 'tm/first', '--timeout=60s']);
  return { routerUrl, phases };
}

/** A port of a node, unless `E2E_ROUTER_URL` says how this machine reaches the router's Service. */
async function routerUrlOf(kubectl: (args: readonly string[]) => Promise<string>): Promise<string> {
  if (process.env.E2E_ROUTER_URL !== undefined) return process.env.E2E_ROUTER_URL;
  const port = await kubectl([
    ...['get', 'service', 'roundhouse-router', '-n', systemNamespace],
    ...['-o', 'jsonpath={.spec.ports[0].nodePort}'],
  ]);
  const address = await kubectl([
    ...['get', 'nodes', '-o'],
    'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}',
  ]);
  return `http://${address}:${port}`;
}
