import { Agent, request } from 'undici';

export type LoadTarget = { readonly model: string; readonly host: string; readonly expected: number };

export type LoadResult = {
  readonly answered: number;
  /** Requests that got no answer, or one other than 200; what happened, and when (milliseconds of `performance`). */
  readonly failures: readonly {
    readonly atMs: number;
    readonly model: string;
    readonly what: string;
    /** Whether the same client's request before this one was answered: if not, it was only looking for a way back. */
    readonly first: boolean;
  }[];
  /** Answers of another model, or of another version. */
  readonly wrong: readonly string[];
};

export type Load = { stop(): Promise<LoadResult> };

const body = JSON.stringify({ inputs: [{ name: 'input-0', shape: [1, 1], datatype: 'FP32', data: [1] }] });

/**
 * Keeps `connections` clients asking, one request after the other on its own keep-alive connection, walking `targets`.
 * `targets` is read at every step, so that it may change while the load runs.
 */
export function startLoad(
  routerUrl: string,
  targets: () => readonly LoadTarget[],
  connections: number,
  paceMs = 5,
): Load {
  const failures: LoadResult['failures'][number][] = [];
  const wrong: string[] = [];
  let answered = 0;
  let running = true;
  const dispatcher = new Agent({ connections, pipelining: 1 });

  /** Resolves with whether there was an answer, of whatever model. */
  const ask = async ({ model, host, expected }: LoadTarget, first: boolean): Promise<boolean> => {
    try {
      const response = await request(`${routerUrl}/v2/models/${model}/infer`, {
        method: 'POST',
        headers: { host, 'content-type': 'application/json' },
        body,
        dispatcher,
      });
      const text = await response.body.text();
      if (response.statusCode !== 200) {
        failures.push({ atMs: performance.now(), model, what: `${response.statusCode} ${text.slice(0, 200)}`, first });
        return false;
      }
      answered++;
      const { outputs }: { outputs: readonly { data: readonly number[] }[] } = JSON.parse(text);
      if (outputs[0]?.data[0] !== expected) wrong.push(`${model} answered ${text.slice(0, 200)}`);
      return true;
    } catch (error) {
      const cause = error as NodeJS.ErrnoException;
      failures.push({ atMs: performance.now(), model, what: `${cause.code ?? ''} ${cause.message}`, first });
      return false;
    }
  };
  const client = async (start: number) => {
    let answering = true;
    for (let step = start; running; step += connections) {
      const now = targets();
      const target = now[step % now.length];
      if (target !== undefined) answering = await ask(target, answering);
      await new Promise((resolve) => setTimeout(resolve, paceMs));
    }
  };
  const clients = Array.from({ length: connections }, (_, index) => client(index));
  return {
    async stop() {
      running = false;
      await Promise.all(clients);
      await dispatcher.close();
      return { answered, failures, wrong };
    },
  };
}
