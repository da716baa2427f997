import { existsSync, readFileSync } from 'node:fs';
import { CodedError } from '@roundhouse/base';
import { type ApiGroup, namesFor } from '@roundhouse/crds';
import { type ClusterClient, collectionPath } from '../cluster-client.ts';
import type { Output } from '../config.ts';
import { predict as send } from '../prediction.ts';
import { exampleRequest } from '../up/examples.ts';

export type PredictDeps = {
  readonly client: ClusterClient;
  readonly print: (text: string) => void;
  readonly routerUrl: string;
  readonly apiGroup: ApiGroup;
  readonly examplesDirectory: string;
  readonly standardInput: () => string;
};

export type PredictRequest = {
  readonly model: string;
  readonly namespace: string;
  readonly data: string | undefined;
  readonly protocol: 'v1' | 'v2';
  readonly output: Output;
};

export async function predict(deps: PredictDeps, wanted: PredictRequest, signal: AbortSignal): Promise<number> {
  const { model, namespace, protocol, output } = wanted;
  const models = collectionPath(namesFor(deps.apiGroup).trainedModels, namespace);
  const { status } = await deps.client.get(`${models}/${encodeURIComponent(model)}`);
  const { url } = (status ?? {}) as { readonly url?: string };
  if (url === undefined) {
    throw new CodedError('cli/no-url', `model "${model}" has no URL yet; "roundhouse status" says why`);
  }
  const answer = await send(
    { routerUrl: deps.routerUrl, host: new URL(url).host, model, protocol },
    bodyFor(deps, wanted),
    signal,
  );
  const text =
    typeof answer.body === 'string'
      ? answer.body
      : JSON.stringify(answer.body, undefined, output === 'json' ? undefined : 2);
  deps.print(
    output === 'json' ? JSON.stringify({ status: answer.status, reason: answer.reason, body: answer.body }) : text,
  );
  return answer.status === 200 ? 0 : 1;
}

function bodyFor(
  { examplesDirectory, standardInput }: PredictDeps,
  { data, model, protocol }: PredictRequest,
): unknown {
  if (data === undefined) {
    const example = exampleRequest(examplesDirectory, model);
    if (example !== undefined) return example[protocol];
    throw new CodedError(
      'cli/usage',
      `"${model}" is not an example model; give the request with -d FILE, -d JSON or -d -`,
    );
  }
  if (data === '-') return standardInput();
  if (data.trimStart().startsWith('{')) return data;
  if (!existsSync(data))
    throw new CodedError('cli/usage', `there is no file ${data}; -d takes a file, JSON, or - for standard input`);
  return readFileSync(data, 'utf8');
}
