import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { helmPath } from '../../tools/kubectl.ts';
import { run } from './run.ts';
import { checkout } from './world.ts';

export const systemNamespace = 'roundhouse-system';

/** What the scenarios of one run share: where the chart is installed, and how to reach it. */
export type Installed = {
  readonly kubeconfig: string;
  readonly routerUrl: string;
  /** Of the images. */
  readonly tag: string;
  readonly registry: string;
  readonly kindCluster: string | undefined;
  /** How long each phase took, in seconds. */
  readonly phases: Readonly<Record<string, number>>;
};

const stateFile = join(checkout, '.toolchain/e2e.json');

export function readInstalled(): Installed {
  if (!existsSync(stateFile)) throw new Error('nothing is installed: run the scenarios with "npm run e2e"');
  return JSON.parse(readFileSync(stateFile, 'utf8'));
}

export function writeInstalled(installed: Installed): void {
  mkdirSync(join(stateFile, '..'), { recursive: true });
  writeFileSync(stateFile, JSON.stringify(installed));
}

export const apps = ['controller', 'router', 'agent', 'model-server'] as const;

export const imagesOf = (registry: string, tag: string) => apps.map((app) => `${registry}/${app}:${tag}`);

/** Builds the four images. `E2E_BASE_IMAGE` is what they start from, where the public one cannot be pulled. */
export async function buildImages(registry: string, tag: string): Promise<void> {
  const base = process.env.E2E_BASE_IMAGE;
  const args = ['tools/images.ts', '--registry', registry, '--tag', tag, ...(base ? ['--base', base] : [])];
  await run(
    process.execPath,
    args.map((arg, index) => (index === 0 ? join(checkout, arg) : arg)),
  );
}

/** The same after a removal, so that the address that a run knows stays good. */
const routerPort = 31_380;

export type ChartOptions = {
  readonly kubeconfig: string;
  readonly registry: string;
  readonly tag: string;
  readonly chart?: string;
  readonly set?: readonly string[];
};

/** Installs or upgrades the chart, and waits until all that it brings is available. Model servers ask for little, so that several fit. */
export async function installChart(options: ChartOptions): Promise<void> {
  const { kubeconfig, registry, tag, chart = join(checkout, 'deploy/chart'), set = [] } = options;
  const values = [
    `image.registry=${registry}`,
    `image.tag=${tag}`,
    'router.service.type=NodePort',
    `router.service.nodePort=${routerPort}`,
    'modelServer.resources.requests.cpu=50m',
    'modelServer.resources.requests.memory=256Mi',
    ...set,
  ];
  await helm(kubeconfig, [
    ...['upgrade', '--install', 'roundhouse', chart, '-n', systemNamespace, '--wait', '--timeout', '180s'],
    ...values.flatMap((value) => ['--set', value]),
  ]);
}

export async function removeChart(kubeconfig: string): Promise<void> {
  await helm(kubeconfig, ['uninstall', 'roundhouse', '-n', systemNamespace, '--wait', '--timeout', '180s']);
}

async function helm(kubeconfig: string, args: readonly string[]): Promise<string> {
  const file = await helmPath();
  if (file === undefined) throw new Error('helm is not on the PATH');
  return run(file, args, { env: { KUBECONFIG: kubeconfig } });
}
