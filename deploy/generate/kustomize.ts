import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments, stringify } from 'yaml';
import { customResourceDefinitions } from '../../packages/crds/src/crd.ts';
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

/** The kustomize base: the chart as it renders without values, as plain manifests. Undefined where there is no helm. */
export async function kustomizeFiles(): Promise<Readonly<Record<string, string>> | undefined> {
  if ((await helmPath()) === undefined) return undefined;
  const objects = parseAllDocuments(await renderChart([], ['--no-hooks']))
    .map((document) => document.toJSON() as Manifest | null)
    .filter((object) => object !== null)
    .map(unmanaged);
  const system = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels: restricted } };
  const runtimes = objects.filter(({ kind }) => kind === 'ClusterServingRuntime');
  const rest = objects.filter((object) => !runtimes.includes(object));
  return {
    'deploy/kustomize/crds/crds.yaml': documents(customResourceDefinitions()),
    'deploy/kustomize/crds/kustomization.yaml': kustomization('crds.yaml'),
    'deploy/kustomize/base/roundhouse.yaml': documents([system, ...rest]),
    'deploy/kustomize/base/runtimes.yaml': documents(runtimes),
    'deploy/kustomize/base/kustomization.yaml': kustomization('roundhouse.yaml', 'runtimes.yaml'),
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
