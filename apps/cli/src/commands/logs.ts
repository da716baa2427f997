import { CodedError } from '@roundhouse/base';
import { type ApiGroup, namesFor } from '@roundhouse/crds';
import { type ClusterClient, type ClusterObject, collectionPath } from '../cluster-client.ts';

export type LogsDeps = {
  readonly client: ClusterClient;
  readonly print: (text: string) => void;
  readonly apiGroup: ApiGroup;
};

export type LogsRequest = {
  readonly target: string;
  readonly namespace: string;
  readonly container: string | undefined;
  readonly follow: boolean;
  readonly tail: number;
};

/** A pod's log; for a model, what the agents of its service wrote about it. */
export async function logs(deps: LogsDeps, wanted: LogsRequest, signal: AbortSignal): Promise<number> {
  const { client, print } = deps;
  const { target, namespace, container = 'agent', follow, tail } = wanted;
  const pods = await client.list(`/api/v1/namespaces/${encodeURIComponent(namespace)}/pods`);
  const exact = pods.find(({ metadata }) => metadata.name === target);
  if (exact !== undefined) {
    for await (const line of client.lines(logPath(exact, container, follow, tail), signal)) print(line);
    return 0;
  }
  const ofService = await podsOfModel(deps, namespace, target, pods);
  await Promise.all(
    ofService.map(async (pod) => {
      // Everything is read, since the last lines of a log shared by thousands of models are rarely about this one.
      const prefix = ofService.length > 1 ? `[${pod.metadata.name}] ` : '';
      for await (const line of client.lines(logPath(pod, container, follow, undefined), signal)) {
        if (mentions(line, target)) print(prefix + line);
      }
    }),
  );
  return 0;
}

async function podsOfModel(
  { client, apiGroup }: LogsDeps,
  namespace: string,
  model: string,
  pods: readonly ClusterObject[],
) {
  const { trainedModels, labels } = namesFor(apiGroup);
  const models = await client.list(collectionPath(trainedModels, namespace));
  const found = models.find(({ metadata }) => metadata.name === model);
  if (found === undefined)
    throw new CodedError('cli/not-found', `there is no model and no pod "${model}" in namespace ${namespace}`);
  const service = (found.spec as { readonly inferenceService: string }).inferenceService;
  const own = pods.filter(({ metadata }) => metadata.labels?.[labels.service] === service);
  if (own.length === 0) throw new CodedError('cli/not-found', `service "${service}" of model "${model}" has no pods`);
  return own;
}

/** Whether the line names the model as a whole word: `iris` is not in `iris-onnx`. */
export function mentions(line: string, model: string): boolean {
  for (let at = line.indexOf(model); at >= 0; at = line.indexOf(model, at + 1)) {
    const isBoundary = (character: string | undefined) => character === undefined || !/[A-Za-z0-9_-]/.test(character);
    if (isBoundary(line[at - 1]) && isBoundary(line[at + model.length])) return true;
  }
  return false;
}

function logPath({ metadata }: ClusterObject, container: string, follow: boolean, tail: number | undefined): string {
  const query = new URLSearchParams({ container, follow: String(follow) });
  if (tail !== undefined) query.set('tailLines', String(tail));
  return `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}/log?${query}`;
}
