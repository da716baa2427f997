import { CodedError } from '@roundhouse/base';
import { type ApiGroup, namesFor } from '@roundhouse/crds';
import { type ClusterClient, collectionPath, type Table } from '../cluster-client.ts';
import type { Output } from '../config.ts';

export type GetDeps = {
  readonly client: ClusterClient;
  readonly print: (text: string) => void;
  readonly apiGroup: ApiGroup;
};
export type GetRequest = {
  readonly what: string;
  readonly name: string | undefined;
  readonly namespace: string | undefined;
  readonly output: Output;
};

/** The words people use, and the collections they mean. */
function collectionsOf(apiGroup: ApiGroup): Readonly<Record<string, Collection>> {
  const names = namesFor(apiGroup);
  const services = { path: collectionPath(names.inferenceServices), namespaced: true };
  const models = { path: collectionPath(names.trainedModels), namespaced: true };
  const runtimes = { path: collectionPath(names.clusterServingRuntimes), namespaced: false };
  return {
    services,
    isvc: services,
    inferenceservices: services,
    models,
    tm: models,
    trainedmodels: models,
    runtimes,
    clusterservingruntimes: runtimes,
    servingruntimes: { path: collectionPath(names.servingRuntimes), namespaced: true },
    pods: { path: '/api/v1/pods', namespaced: true },
    events: { path: '/api/v1/events', namespaced: true },
    configmaps: { path: '/api/v1/configmaps', namespaced: true },
    deployments: { path: '/apis/apps/v1/deployments', namespaced: true },
  };
}

type Collection = { readonly path: string; readonly namespaced: boolean };

export async function get(
  { client, print, apiGroup }: GetDeps,
  { what, name, namespace, output }: GetRequest,
): Promise<number> {
  const collections = collectionsOf(apiGroup);
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

function pathOf({ path, namespaced }: Collection, namespace: string | undefined, name: string | undefined) {
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
