import { type ApiGroup, namesFor } from '@roundhouse/crds';
import { type ClusterClient, type ClusterObject, collectionPath } from '../cluster-client.ts';
import type { Output } from '../config.ts';
import { renderColumns } from './get.ts';

export type StatusDeps = {
  readonly client: ClusterClient;
  readonly print: (text: string) => void;
  readonly routerUrl: string;
  readonly apiGroup: ApiGroup;
};

export type ModelStatus = {
  readonly namespace: string;
  readonly name: string;
  readonly service: string;
  readonly ready: boolean;
  readonly copies: string;
  readonly reason: string;
  readonly url: string;
};

export type ServiceStatus = {
  readonly namespace: string;
  readonly name: string;
  readonly ready: boolean;
  readonly reason: string;
  readonly models: number;
  readonly url: string;
};

type Condition = {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
};
type TrainedModelStatus = {
  readonly conditions?: readonly Condition[];
  readonly copies?: { readonly summary?: string };
  readonly url?: string;
};

/** Prints services and models; the exit status is 1 while one of them is not ready. */
export async function status(
  { client, print, routerUrl, apiGroup }: StatusDeps,
  { output }: { readonly output: Output },
): Promise<number> {
  const { inferenceServices, trainedModels } = namesFor(apiGroup);
  const [services, models] = await Promise.all([
    client.list(collectionPath(inferenceServices)),
    client.list(collectionPath(trainedModels)),
  ]);
  const summary = {
    router: routerUrl,
    services: services.map((service) => serviceStatus(service, models)),
    models: models.map(modelStatus),
  };
  print(output === 'json' ? JSON.stringify(summary, undefined, 2) : renderStatus(summary));
  return [...summary.services, ...summary.models].every(({ ready }) => ready) ? 0 : 1;
}

export function modelStatus({ metadata, spec, status: current }: ClusterObject): ModelStatus {
  const { conditions, copies, url } = (current ?? {}) as TrainedModelStatus;
  const ready = conditions?.find(({ type }) => type === 'Ready');
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    service: (spec as { readonly inferenceService: string }).inferenceService,
    ready: ready?.status === 'True',
    copies: copies?.summary ?? '',
    reason: ready?.status === 'True' ? '' : describe(ready),
    url: url ?? '',
  };
}

function serviceStatus({ metadata, status: current }: ClusterObject, models: readonly ClusterObject[]): ServiceStatus {
  const { conditions, url } = (current ?? {}) as TrainedModelStatus;
  const ready = conditions?.find(({ type }) => type === 'Ready');
  const own = models.filter(
    (model) =>
      model.metadata.namespace === metadata.namespace &&
      (model.spec as { readonly inferenceService: string }).inferenceService === metadata.name,
  );
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    ready: ready?.status === 'True',
    reason: ready?.status === 'True' ? '' : describe(ready),
    models: own.length,
    url: url ?? '',
  };
}

function describe(condition: Condition | undefined): string {
  if (condition === undefined) return 'not looked at yet';
  return [condition.reason, condition.message].filter(Boolean).join(': ');
}

function renderStatus({
  router,
  services,
  models,
}: {
  readonly router: string;
  readonly services: readonly ServiceStatus[];
  readonly models: readonly ModelStatus[];
}): string {
  const serviceRows = services.map((s) => [
    s.namespace,
    s.name,
    s.ready ? 'ready' : 'not ready',
    String(s.models),
    s.url,
    s.reason,
  ]);
  const modelRows = models.map((m) => [
    m.namespace,
    m.name,
    m.service,
    m.ready ? 'ready' : 'not ready',
    m.copies,
    m.reason,
  ]);
  const parts = [`Router: ${router}`, ''];
  if (services.length === 0)
    return [...parts, 'There are no services yet; see "how to add a model" in the README.'].join('\n');
  parts.push(renderColumns([['NAMESPACE', 'SERVICE', 'STATE', 'MODELS', 'URL', 'WHY'], ...serviceRows]), '');
  if (models.length > 0)
    parts.push(renderColumns([['NAMESPACE', 'MODEL', 'SERVICE', 'STATE', 'COPIES', 'WHY'], ...modelRows]));
  return parts.join('\n');
}
