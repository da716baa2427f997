import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Clock, CodedError, messageOf, type Random } from '@roundhouse/base';
import { type ApiGroup, customResourceDefinitions, kserveGroup, type Names, namesFor } from '@roundhouse/crds';
import { type Images, type KubeObject, type LocalCluster, startLocalCluster } from '@roundhouse/local-cluster';
import type { Log } from '@roundhouse/telemetry';
import { parse } from 'yaml';
import { endState, lastRouterPort, writeState } from '../local-state.ts';
import { predict } from '../prediction.ts';
import { applyObjects } from '../system/apply.ts';
import { localImages } from '../system/images.ts';
import { systemNamespace } from '../system/names.ts';
import { type SystemObject, systemObjects } from '../system/objects.ts';
import { readPrograms } from '../system/programs.ts';
import { applyExamples, exampleRequest } from '../up/examples.ts';
import { requestTotals, showLife } from '../up/life.ts';
import { claimPort } from '../up/ports.ts';
import { modelsOf, untilReady } from '../up/readiness.ts';
import type { Screen } from '../up/screen.ts';
import { welcome } from '../up/welcome.ts';
import type { ModelStatus } from './status.ts';

export type UpDeps = {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly screen: Screen;
  /** The checkout's root: bundles, CRDs and examples are below it. */
  readonly checkout: string;
  /** The Node.js that runs the parts. */
  readonly node: string;
  readonly pid: number;
};

export type UpRequest = {
  readonly dataDirectory: string;
  readonly port: number;
  readonly examples: boolean;
  readonly fileRoots: readonly string[];
  readonly images: string | undefined;
  readonly apiGroup: ApiGroup;
};

/** Hosts of services end in this; requests name it in their `Host` header, so it need not resolve. */
const domain = 'example.com';

/** Starts everything, shows what to do next, and runs until `signal` aborts. */
export async function up(deps: UpDeps, wanted: UpRequest, signal: AbortSignal): Promise<number> {
  const { clock, random, log, screen } = deps;
  const names = namesFor(wanted.apiGroup);
  const say = (line: string) => screen.write(`${line}\n`);
  openDataDirectory(wanted.dataDirectory);
  const port = await claimPort(wanted.port, lastRouterPort(wanted.dataDirectory));
  const images = {
    ...localImages({ appsDirectory: join(deps.checkout, 'apps'), node: deps.node }),
    ...(wanted.images === undefined ? {} : readPrograms(wanted.images)),
  };
  const cluster = await startLocalCluster({ dataDirectory: wanted.dataDirectory, images, clock, random, log });
  const routerUrl = `http://127.0.0.1:${port}`;
  try {
    writeState(wanted.dataDirectory, { pid: deps.pid, routerUrl, apiGroup: wanted.apiGroup });
    install(deps, cluster, images, wanted, { names, port });
    say(`Kubernetes API at ${cluster.url}, predictions at ${routerUrl}`);
    await untilAnswering(deps, cluster, names, routerUrl, signal);
    say('');
    say(welcome(welcomeFacts(deps, cluster, wanted, { names, routerUrl })));
    say('');
    say('Roundhouse is up');
    await showLife({ clock, screen, api: cluster.api, names, totals: () => requestTotals(cluster) }, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  } finally {
    say('Stopping …');
    await cluster.close();
    endState(wanted.dataDirectory, routerUrl);
  }
  return 0;
}

function openDataDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true });
    chmodSync(directory, 0o700); // the kubeconfig and the models are nobody else's business
  } catch (error) {
    throw new CodedError(
      'cli/data-directory',
      `the data directory cannot be used (${messageOf(error)}); name another with --data-dir`,
    );
  }
}

/** Everything of Roundhouse, and the examples at the first start. */
function install(
  deps: UpDeps,
  { api }: LocalCluster,
  images: Images,
  wanted: UpRequest,
  { names, port }: { readonly names: Names; readonly port: number },
): void {
  const examples = join(deps.checkout, 'examples');
  applyObjects(
    api,
    customResourceDefinitions(names).map((object) => ({ resource: definitions, object })),
  );
  const runtimes = runtimesIn(join(deps.checkout, 'deploy/runtimes'), names);
  // One whose image is not to be had would be chosen for a service and never start.
  applyObjects(
    api,
    runtimes.filter(({ object }) => imagesOf(object).every((image) => image in images)),
  );
  applyObjects(
    api,
    systemObjects({ apiGroup: names.group, routerPort: port, fileRoots: [deps.checkout, ...wanted.fileRoots], domain }),
  );
  if (wanted.examples) applyExamples(api, names, examples, systemNamespace);
}

function imagesOf({ spec }: KubeObject): readonly string[] {
  const { containers = [] } = (spec ?? {}) as { readonly containers?: readonly { readonly image?: string }[] };
  return containers.map(({ image = '' }) => image);
}

const definitions = { group: 'apiextensions.k8s.io', resource: 'customresourcedefinitions' };

function runtimesIn(directory: string, { group, clusterServingRuntimes }: Names): SystemObject[] {
  const read = (name: string) => readFileSync(join(directory, name), 'utf8').replaceAll(kserveGroup, group);
  return readdirSync(directory)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => ({ resource: clusterServingRuntimes, object: parse(read(name)) as KubeObject }));
}

/** Resolves once every example model that is there has answered its example request through the router. */
async function untilAnswering(
  { clock, checkout, screen }: UpDeps,
  { api }: LocalCluster,
  names: Names,
  routerUrl: string,
  signal: AbortSignal,
): Promise<void> {
  const isExample = ({ namespace, name }: ModelStatus) =>
    namespace === 'default' && existsSync(join(checkout, 'examples', 'expected', `${name}.json`));
  const wanted = modelsOf(api, names)
    .filter(isExample)
    .map(({ namespace, name }) => `${namespace}/${name}`);
  if (wanted.length === 0) return;
  const progress = (ready: number, total: number) => screen.write(`Example models: ${ready} of ${total} ready\n`);
  await untilReady({ api, clock, names }, wanted, progress, signal);
  for (const model of modelsOf(api, names).filter(isExample)) {
    const body = exampleRequest(join(checkout, 'examples'), model.name)?.v2;
    const target = { routerUrl, host: new URL(model.url).host, model: model.name, protocol: 'v2' as const };
    const answer = await answered(clock, () => predict(target, body, signal), signal);
    if (answer.status !== 200) {
      const why = JSON.stringify(answer.body);
      throw new CodedError('cli/no-answer', `example model ${model.name} answers ${answer.status}: ${why}`);
    }
  }
}

/** The router may take a moment longer than the models: until then connections are refused. */
const routerMsMax = 15_000;

async function answered<T>(clock: Clock, ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const deadline = clock.monotonic() + routerMsMax;
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted) throw error;
      if (clock.monotonic() > deadline) {
        const way = '"kubectl -n roundhouse-system logs deploy/roundhouse-router" tells more';
        throw new CodedError('cli/no-router', `the router does not answer (${messageOf(error)}); ${way}`, {
          cause: error,
        });
      }
    }
    await clock.sleep(10, signal);
  }
}

function welcomeFacts(
  { checkout }: UpDeps,
  cluster: LocalCluster,
  wanted: UpRequest,
  { names, routerUrl }: { readonly names: Names; readonly routerUrl: string },
) {
  const models = modelsOf(cluster.api, names);
  const examples = models.flatMap((model) => {
    const request = exampleRequest(join(checkout, 'examples'), model.name);
    if (request === undefined || !model.ready) return [];
    return [{ model: model.name, request, host: new URL(model.url).host, service: model.service }];
  });
  // The shortest request is the one that people like to read.
  const sizeOf = ({ request }: { readonly request: unknown }) => JSON.stringify(request).length;
  const [example] = examples.sort((a, b) => sizeOf(a) - sizeOf(b));
  return { names, kubeconfigPath: cluster.kubeconfigPath, routerUrl, example, dataDirectory: wanted.dataDirectory };
}
