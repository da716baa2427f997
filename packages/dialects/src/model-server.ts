import { Agent, type IncomingMessage, request } from 'node:http';
import { type Clock, CodedError, messageOf, systemCodeOf, within } from '@roundhouse/base';
import { z } from 'zod/mini';
import type { Answer, Dialect, ListedModel } from './dialect.ts';
import { errorTextOf } from './error-text.ts';

/** Where the server listens: always this host, or a unix socket. */
export type ServerAddress = { readonly port: number; readonly socketPath?: string | undefined };

/**
 * `server/unreachable`: nobody listens. `server/broke-off`: it went away, or the deadline passed, while it worked.
 * `server/busy`: refused, may work later. `server/full`: refused for want of memory. `server/rejected`: refused for what the
 * model is.
 */
export type ServerErrorCode =
  | 'server/unreachable'
  | 'server/broke-off'
  | 'server/busy'
  | 'server/full'
  | 'server/rejected';

/** The repository calls of one model server. Each has a deadline of its own besides the caller's signal. */
export type ModelServer = {
  readonly dialect: Dialect;
  /** True when it answers its health check. Never throws but for the caller's signal. */
  isLive(signal: AbortSignal): Promise<boolean>;
  /**
   * What it has: its own listing, or, where it has none, the answers to "is it ready?" for each of `candidates`.
   * Throws a CodedError with a ServerErrorCode.
   */
  list(candidates: readonly string[], signal: AbortSignal): Promise<readonly ListedModel[]>;
  /** Returns when the model answers. Loading one that is loaded replaces it without a gap. Throws as `list`. */
  load(model: string, signal: AbortSignal): Promise<void>;
  /** Returns when the model is gone; one that was not there is gone already. Throws as `list`. */
  unload(model: string, signal: AbortSignal): Promise<void>;
  isReady(model: string, signal: AbortSignal): Promise<boolean>;
  /** The name that it gives itself; undefined where it has none. Throws a CodedError when it is not there. */
  name(signal: AbortSignal): Promise<string | undefined>;
  close(): Promise<void>;
};

export type ServerDeadlines = { readonly askMs: number; readonly loadMs: number; readonly unloadMs: number };

/** A Triton whose backend cannot start never answers a load; large models take minutes. */
const defaultDeadlines: ServerDeadlines = { askMs: 5_000, loadMs: 600_000, unloadMs: 60_000 };

/** Loads run side by side (the agent bounds them); questions must not queue behind them. */
const connectionsMax = 64;
/** An index of 10,000 models with a long reason each. */
const answerBytesMax = 16 * 1024 * 1024;
/** "Is it ready?" asked side by side where there is no listing. */
const questionsMax = 16;
const pollMs = 20;

export function openModelServer(
  { clock }: { readonly clock: Clock },
  dialect: Dialect,
  address: ServerAddress,
  deadlines: ServerDeadlines = defaultDeadlines,
): ModelServer {
  // Not undici: it would be a third of the agent's memory, for a few calls to the same host.
  const agent = new Agent({ keepAlive: true, maxSockets: connectionsMax });

  function send(method: 'GET' | 'POST', path: string, signal: AbortSignal): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const { port, socketPath } = address;
      const where = socketPath === undefined ? { host: '127.0.0.1', port } : { socketPath };
      // FastAPI servers want a type with a body, MLServer's index a body at all.
      const headers = method === 'POST' ? { 'content-type': 'application/json', 'content-length': 2 } : {};
      const sent = request({ ...where, agent, method, path, headers, signal }, (response) => {
        readText(response).then((text) => resolve({ status: response.statusCode ?? 0, text }), reject);
      });
      sent.on('error', (error) => {
        // The server closed the connection while it stood idle; every call here may be made twice.
        if (sent.reusedSocket && systemCodeOf(error) === 'ECONNRESET') resolve(send(method, path, signal));
        else reject(error);
      });
      sent.end(method === 'POST' ? '{}' : undefined);
    });
  }

  async function call(method: 'GET' | 'POST', path: string, timeoutMs: number, signal: AbortSignal): Promise<Answer> {
    const deadline = within(timeoutMs, signal);
    try {
      return await send(method, path, deadline);
    } catch (error) {
      throw signal.aborted
        ? signal.reason
        : unreachable(deadline.aborted ? deadline.reason : error, `${method} ${path}`, timeoutMs);
    }
  }

  const isReady = async (model: string, signal: AbortSignal) =>
    (await call('GET', `${modelPath(model)}/ready`, deadlines.askMs, signal)).status === 200;

  async function list(candidates: readonly string[], signal: AbortSignal): Promise<readonly ListedModel[]> {
    const { listing } = dialect;
    if (listing === undefined) return await askEach(candidates, signal);
    const answer = await call(listing.method, listing.path, deadlines.askMs, signal);
    if (answer.status === 404 && listing.method === 'POST') return await askEach(candidates, signal);
    if (answer.status !== 200) throw refused(dialect, 'list its models', answer);
    try {
      return listing.parse(answer.text);
    } catch (error) {
      throw serverError('server/broke-off', `the model server's list of models is not one: ${messageOf(error)}`);
    }
  }

  async function askEach(candidates: readonly string[], signal: AbortSignal): Promise<readonly ListedModel[]> {
    const found: ListedModel[] = [];
    const names = candidates.values();
    const ask = async () => {
      for (const name of names) found.push({ name, ready: await isReady(name, signal), reason: undefined });
    };
    await Promise.all(Array.from({ length: questionsMax }, ask));
    return found;
  }

  async function load(model: string, signal: AbortSignal) {
    const refusal = dialect.refusesName(model);
    if (refusal !== undefined) throw serverError('server/rejected', refusal);
    const answer = await call('POST', `${repositoryPath(model)}/load`, deadlines.loadMs, signal);
    if (answer.status !== 200) throw refused(dialect, `load ${model}`, answer);
  }

  async function unload(model: string, signal: AbortSignal) {
    if (dialect.refusesName(model) !== undefined) return;
    const answer = await call('POST', `${repositoryPath(model)}/unload`, deadlines.unloadMs, signal);
    if (answer.status !== 200 && !dialect.isNotThere(answer)) throw refused(dialect, `unload ${model}`, answer);
    if (dialect.unloadIsSynchronous) return;
    const deadline = within(deadlines.unloadMs, signal);
    while ((await list([model], deadline)).some(({ name, ready }) => name === model && ready)) {
      await clock.sleep(pollMs, deadline);
    }
  }

  return {
    dialect,
    list,
    load,
    unload,
    isReady,
    async isLive(signal) {
      try {
        return (await call('GET', dialect.livePath, deadlines.askMs, signal)).status === 200;
      } catch {
        signal.throwIfAborted();
        return false;
      }
    },
    async name(signal) {
      const { status, text } = await call('GET', '/v2', deadlines.askMs, signal);
      if (status !== 200 && status !== 404)
        throw serverError('server/busy', `the model server answers ${status} to /v2`);
      const found = status === 200 ? metadata.safeParse(JSON.parse(text)).data : undefined;
      return found?.name;
    },
    close: async () => agent.destroy(),
  };
}

const metadata = z.object({ name: z.string() });

const modelPath = (model: string) => `/v2/models/${encodeURIComponent(model)}`;
const repositoryPath = (model: string) => `/v2/repository/models/${encodeURIComponent(model)}`;

async function readText(body: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > answerBytesMax) throw new Error(`the answer is over ${answerBytesMax} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function refused(dialect: Dialect, what: string, answer: Answer): CodedError<ServerErrorCode> {
  const busy = dialect.isTransient(answer) ? 'server/busy' : 'server/rejected';
  const code = dialect.isFull(answer) ? 'server/full' : busy;
  return serverError(code, `the model server refused to ${what} (${answer.status}): ${errorTextOf(answer)}`);
}

function unreachable(error: unknown, call: string, timeoutMs: number): CodedError<ServerErrorCode> {
  const code = systemCodeOf(error);
  if (code === 'ECONNREFUSED' || code === 'ENOENT') {
    return serverError('server/unreachable', 'the model server is not listening');
  }
  if (error instanceof Error && error.name === 'TimeoutError') {
    return serverError('server/broke-off', `the model server did not answer ${call} within ${timeoutMs} ms`);
  }
  return serverError('server/broke-off', `the model server broke off ${call}: ${messageOf(error)}`);
}

function serverError(code: ServerErrorCode, message: string): CodedError<ServerErrorCode> {
  return new CodedError(code, message);
}
