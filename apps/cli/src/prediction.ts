import { request } from 'undici';

export type PredictionTarget = {
  readonly routerUrl: string;
  /** The service's host, sent as `Host`. */
  readonly host: string;
  readonly model: string;
  readonly protocol: 'v1' | 'v2';
};

export type Answer = { readonly status: number; readonly body: unknown; readonly reason: string | undefined };

export function predictionPath({ model, protocol }: Pick<PredictionTarget, 'model' | 'protocol'>): string {
  return protocol === 'v1' ? `/v1/models/${model}:predict` : `/v2/models/${model}/infer`;
}

/** One prediction through the router. The body is parsed when it is JSON and left as text when it is not. */
export async function predict(target: PredictionTarget, body: unknown, signal: AbortSignal): Promise<Answer> {
  const response = await request(new URL(predictionPath(target), target.routerUrl), {
    method: 'POST',
    headers: { host: target.host, 'content-type': 'application/json' },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    signal,
  });
  const text = await response.body.text();
  const reason = response.headers['x-roundhouse-reason'];
  return { status: response.statusCode, body: parsed(text), reason: typeof reason === 'string' ? reason : undefined };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
