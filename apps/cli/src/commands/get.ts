import { CodedError } from '@roundhouse/base';
import type { ClusterClient, Table } from '../cluster-client.ts';
import type { Output } from '../config.ts';

export type GetDeps = { readonly client: ClusterClient; readonly print: (text: string) => void };
export type GetRequest = {
  readonly what: string;
  readonly name: string | undefined;
  readonly namespace: string | undefined;
  readonly output: Output;
};

const serving = '/apis/serving.kserve.io';

/** The words people use, and the collections they mean. */
const collections: Readonly<Record<string, { readonly path: string; readonly namespaced: boolean }>> = {
  services: { path: `${serving}/v1beta1/inferenceservices`, namespaced: true },
  isvc: { path: `${serving}/v1beta1/inferenceservices`, namespaced: true },
  inferenceservices: { path: `${serving}/v1beta1/inferenceservices`, namespaced: true },
  models: { path: `${serving}/v1alpha1/trainedmodels`, namespaced: true },
  tm: { path: `${serving}/v1alpha1/trainedmodels`, namespaced: true },
  trainedmodels: { path: `${serving}/v1alpha1/trainedmodels`, namespaced: true },
  runtimes: { path: `${serving}/v1alpha1/clusterservingruntimes`, namespaced: false },
  clusterservingruntimes: { path: `${serving}/v1alpha1/clusterservingruntimes`, namespaced: false },
  servingruntimes: { path: `${serving}/v1alpha1/servingruntimes`, namespaced: true },
  pods: { path: '/api/v1/pods', namespaced: true },
  events: { path: '/api/v1/events', namespaced: true },
  configmaps: { path: '/api/v1/configmaps', namespaced: true },
  deployments: { path: '/apis/apps/v1/deployments', namespaced: true },
};

export async function get({ client, print }: GetDeps, { what, name, namespace, output }: GetRequest): Promise<number> {
  const collection = collections[what.toLowerCase()];
  if (collection === undefined) {
    const words = Object.keys(collections).join(', ');
    throw new CodedError(
      'cli/usage',
      `"${what}" is not something to get here; there are ${words}; kubectl gets everything else`,
    );
  }
  const path = pathOf(collection, namespace ?? (name === undefined ? undefined : 'default'), name);
  if (output === 'json') {
    const found = name === undefined ? await client.list(path) : await client.get(path);
    print(JSON.stringify(found, undefined, 2));
  } else {
    print(
      renderTable(await client.table(path), collection.namespaced && namespace === undefined && name === undefined),
    );
  }
  return 0;
}

function pathOf(
  { path, namespaced }: { readonly path: string; readonly namespaced: boolean },
  namespace: string | undefined,
  name: string | undefined,
) {
  const cut = path.lastIndexOf('/');
  const within =
    namespaced && namespace !== undefined
      ? `${path.slice(0, cut)}/namespaces/${encodeURIComponent(namespace)}${path.slice(cut)}`
      : path;
  return name === undefined ? within : `${within}/${encodeURIComponent(name)}`;
}

/** The server's own columns, as `kubectl get` shows them. */
export function renderTable(table: Table, withNamespace: boolean): string {
  const shown = table.columnDefinitions.flatMap((column, index) =>
    (column.priority ?? 0) === 0 ? [{ index, name: column.name }] : [],
  );
  const rows = (table.rows ?? []).map(({ cells, object }) => [
    ...(withNamespace ? [object?.metadata.namespace ?? ''] : []),
    ...shown.map(({ index }) => String(cells[index] ?? '')),
  ]);
  if (rows.length === 0) return 'nothing found';
  const header = [...(withNamespace ? ['NAMESPACE'] : []), ...shown.map(({ name }) => name.toUpperCase())];
  return renderColumns([header, ...rows]);
}

/** Cells padded to the widest of their column, three spaces between. */
export function renderColumns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('   ')
        .trimEnd(),
    )
    .join('\n');
}
