// Runs the scenarios on a real cluster: `npm run e2e [-- --keep] [-- FILTER…]`.
// With E2E_TARGET=kind (the default) it creates the cluster, builds and loads the images, installs the chart, runs the scenarios,
// collects logs when one failed, and deletes the cluster. With E2E_TARGET=kubeconfig it uses the cluster of KUBECONFIG, to which the
// images E2E_REGISTRY/*:E2E_TAG must be known; with E2E_TARGET=local the embedded one, as `npm test` does.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { installAndPredict } from './frame/first-prediction.ts';
import { buildImages, type Installed, imagesOf, removeChart, writeInstalled } from './frame/installation.ts';
import { createCluster, deleteCluster, exportLogs, loadImages } from './frame/kind.ts';
import { run } from './frame/run.ts';
import { summaryOf, type TestResults } from './frame/summary.ts';
import { checkout } from './frame/world.ts';

const { values, positionals } = readArguments();

/** All models that we claim take minutes to come and go: only those wait for them who ask for nothing else. */
const isScaleRun = positionals.length === 1 && positionals[0] === 'scale';

const target = process.env.E2E_TARGET ?? 'kind';
const scratch = join(checkout, '.toolchain/e2e');
const began = performance.now();
const say = (line: string) => console.log(`e2e: [${((performance.now() - began) / 1000).toFixed(0)} s] ${line}`);

if (values.help) {
  console.log(`npm run e2e [-- --keep] [-- --summary FILE] [-- FILTER…]

  --keep          leave the cluster and the installation as they are at the end
  --summary FILE  write what passed to FILE, when all did

  E2E_MODELS      of the scenario "scale": 5000 when it is the only FILTER, otherwise 300
  E2E_TARGET      kind (default), kubeconfig or local
  KIND            the kind command; KIND_NODE_IMAGE its node image
  E2E_KIND_DRIVER a program with "kind up|load|down" of its own, instead of kind
  E2E_BASE_IMAGE  what the images start from
  E2E_REGISTRY, E2E_TAG, E2E_ROUTER_URL   for E2E_TARGET=kubeconfig`);
} else if (target === 'local') process.exitCode = await scenarios('local');
else if (target === 'kubeconfig') process.exitCode = await onKubeconfig();
else if (target === 'kind') process.exitCode = await onKind();
else {
  console.error(`E2E_TARGET is "${target}"; it can be kind, kubeconfig or local`);
  process.exitCode = 2;
}

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        keep: { type: 'boolean', default: false },
        summary: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    console.error(`${(error as Error).message}; see npm run e2e -- --help`);
    process.exit(2);
  }
}

async function onKind(): Promise<number> {
  const name = `${process.env.E2E_CLUSTER_PREFIX ?? 'roundhouse-e2e'}-${process.pid}`;
  const kubeconfig = join(scratch, `${name}.kubeconfig`);
  mkdirSync(scratch, { recursive: true });
  const [registry, tag] = ['roundhouse-e2e', `run-${process.pid}`];
  let status = 1;
  try {
    say(`building images and creating the kind cluster ${name}`);
    await Promise.all([
      createCluster(name, kubeconfig).then(() => say('the cluster is there')),
      buildImages(registry, tag).then(() => say('the images are built')),
    ]);
    await loadImages(name, imagesOf(registry, tag));
    say('the images are loaded; installing the chart');
    status = await install({ kubeconfig, registry, tag, kindCluster: name });
    return status;
  } finally {
    if (status !== 0)
      await exportLogs(name, join(scratch, `${name}-logs`)).then(
        () => say(`logs are in ${scratch}`),
        () => {},
      );
    if (values.keep) say(`the cluster ${name} stays; KUBECONFIG=${kubeconfig}`);
    else await deleteCluster(name, kubeconfig).then(() => say('the cluster is deleted'));
    await run('docker', ['image', 'rm', ...imagesOf(registry, tag)]).catch(() => {});
  }
}

async function onKubeconfig(): Promise<number> {
  const { KUBECONFIG: kubeconfig, E2E_REGISTRY: registry, E2E_TAG: tag } = process.env;
  if (!kubeconfig || !registry || !tag) {
    console.error('E2E_TARGET=kubeconfig needs KUBECONFIG, E2E_REGISTRY and E2E_TAG');
    return 2;
  }
  try {
    return await install({ kubeconfig, registry, tag, kindCluster: process.env.E2E_KIND_CLUSTER });
  } finally {
    if (!values.keep) await removeChart(kubeconfig).catch((error) => say(String(error)));
  }
}

async function install(given: Omit<Installed, 'routerUrl' | 'phases'>): Promise<number> {
  const { routerUrl, phases } = await installAndPredict(given);
  for (const [phase, seconds] of Object.entries(phases)) say(`${seconds.toFixed(1).padStart(6)} s  ${phase}`);
  writeInstalled({ ...given, routerUrl, phases });
  return scenarios(target);
}

/** Runs Vitest; resolves with its exit status, once the summary is written where one was asked for. */
async function scenarios(where: string): Promise<number> {
  mkdirSync(scratch, { recursive: true });
  const results = join(scratch, 'results.json');
  const vitest = join(checkout, 'node_modules/.bin/vitest');
  const child = spawn(
    vitest,
    ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${results}`, ...positionals],
    {
      cwd: join(checkout, 'e2e'),
      stdio: 'inherit',
      env: { E2E_MODELS: isScaleRun ? '5000' : '300', ...process.env, E2E_TARGET: where },
    },
  );
  const status = await new Promise<number>((resolve) => child.once('close', (code) => resolve(code ?? 1)));
  if (status === 0 && values.summary !== undefined) {
    const parsed: TestResults = JSON.parse(readFileSync(results, 'utf8'));
    writeFileSync(values.summary, await summaryOf(parsed, where, values.summary));
  }
  return status;
}
