import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { customResourceDefinitions } from '../../packages/crds/src/crd.ts';
import { besideGroup, kserveGroup, namesFor } from '../../packages/crds/src/names.ts';
import { helmPath } from '../../tools/kubectl.ts';

export const chartDirectory = join(import.meta.dirname, '../chart');
const namespace = 'roundhouse-system';
const head = '# Generated from the chart by `pnpm gen`. Do not edit.\n';

/** What `helm template` makes of the chart with these values. Rejects with Helm's message when a value is wrong. */
export async function renderChart(set: readonly string[] = [], more: readonly string[] = []): Promise<string> {
  const helm = await helmPath();
  if (helm === undefined) throw new Error('helm is not on the PATH');
  const args = [
    'template',
    'roundhouse',
    chartDirectory,
    '-n',
    namespace,
    ...set.flatMap((value) => ['--set-json', value]),
  ];
  // Whatever the machine says of registries, repositories or clusters must not reach the result.
  const { stdout } = await promisify(execFile)(helm, [...args, ...more], { maxBuffer: 64 * 2 ** 20, env: {} });
  return stdout;
}

/** What the chart renders to as plain manifests, without values and beside KServe. Undefined where there is no helm. */
export async function kustomizeFiles(): Promise<Readonly<Record<string, string>> | undefined> {
  if ((await helmPath()) === undefined) return undefined;
  const [base, beside] = await Promise.all([manifests([]), manifests(['beside.kserve=true'])]);
  return {
    'deploy/kustomize/crds/crds.yaml': documents(customResourceDefinitions(namesFor(kserveGroup))),
    'deploy/kustomize/crds/kustomization.yaml': kustomization('crds.yaml'),
    ...under('deploy/kustomize/base', base),
    'deploy/kustomize/beside-kserve/crds/crds.yaml': documents(customResourceDefinitions(namesFor(besideGroup))),
    'deploy/kustomize/beside-kserve/crds/kustomization.yaml': kustomization('crds.yaml'),
    ...under('deploy/kustomize/beside-kserve/base', beside),
  };
}

const under = (directory: string, files: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(files).map(([name, text]) => [`${directory}/${name}`, text]));

async function manifests(values: readonly string[]) {
  const objects = parseAllDocuments(await renderChart(values, ['--no-hooks']))
    .map((document) => document.toJSON() as Manifest | null)
    .filter((object) => object !== null)
    .map(unmanaged);
  const system = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: restricted } };
  const runtimes = objects.filter(({ kind }) => kind === 'ClusterServingRuntime');
  const rest = objects.filter((object) => !runtimes.includes(object));
  return {
    'roundhouse.yaml': documents([system, ...rest]),
    'runtimes.yaml': documents(runtimes),
    'kustomization.yaml': kustomization('roundhouse.yaml', 'runtimes.yaml'),
  };
}

const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };

type Manifest = { readonly kind: string; readonly metadata: { readonly labels?: Readonly<Record<string, string>> } };

/** Nothing here is managed by Helm. */
function unmanaged(object: Manifest): Manifest {
  const text = JSON.stringify(object).replaceAll(/,?"app\.kubernetes\.io\/managed-by":"Helm"/g, '');
  return JSON.parse(text) as Manifest;
}

function documents(objects: readonly object[]): string {
  return (
    head + objects.map((object) => stringify(object, { lineWidth: 0, aliasDuplicateObjects: false })).join('---\n')
  );
}

function kustomization(...resources: readonly string[]): string {
  return head + stringify({ apiVersion: 'kustomize.config.k8s.io/v1beta1', kind: 'Kustomization', resources });
}
