import { z } from 'zod/mini';
import type { Answer, Dialect, DialectName, ListedModel, Listing } from './dialect.ts';

/** Names that pass through every server's paths unescaped: Triton decodes nothing. */
const plainName = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;

const entries = z.array(
  z.object({ name: z.optional(z.string()), state: z.optional(z.string()), reason: z.optional(z.string()) }),
);

/** Triton's model repository extension. Triton lists one entry per version: a model is ready when one of them is. */
const repositoryIndex: Listing = {
  method: 'POST',
  path: '/v2/repository/index',
  parse(text) {
    const models = new Map<string, ListedModel>();
    for (const { name = '', state, reason } of entries.parse(JSON.parse(text))) {
      if (name === '') continue; // MLServer lists a nameless one when it has none
      const ready = state === 'READY' || models.get(name)?.ready === true;
      models.set(name, { name, ready, reason: ready ? undefined : reason || undefined });
    }
    return [...models.values()];
  },
};

const names = z.object({ models: z.array(z.string()) });

/** KServe's Python servers have no index; they list what they know. */
const v1Models: Listing = {
  method: 'GET',
  path: '/v1/models',
  parse: (text) => names.parse(JSON.parse(text)).models.map((name) => ({ name, ready: true, reason: undefined })),
};

/** The protocol and its repository extension, as far as all servers agree. */
const v2: Dialect = {
  name: 'v2',
  protocols: { v1: false, v2: true, grpc: true },
  listing: repositoryIndex,
  livePath: '/v2/health/live',
  unloadIsSynchronous: true,
  isNotThere: ({ status }) => status === 404,
  isTransient: ({ status }) => status === 503 || status === 429,
  refusesName: (name) =>
    plainName.test(name) ? undefined : 'a model server takes names of letters, digits, "_", "-" and "." only',
  layout: 'flat',
};

const embedded: Dialect = { ...v2, name: 'embedded', protocols: { v1: true, v2: true, grpc: false } };

/** https://github.com/kserve/kserve/tree/master/python/kserve: every failed load is a 503, whatever its cause. */
const kserve: Dialect = {
  ...v2,
  name: 'kserve',
  protocols: { v1: true, v2: true, grpc: true },
  listing: v1Models,
  isTransient: () => false,
};

/** https://github.com/SeldonIO/MLServer: the index wants a body, which every call of ours has. */
const mlserver: Dialect = { ...v2, name: 'mlserver' };

/** https://github.com/triton-inference-server/server, in control mode `explicit`. */
const triton: Dialect = {
  ...v2,
  name: 'triton',
  unloadIsSynchronous: false,
  // Before 24.01 every error was a 400. In another control mode it answers 503 for ever, so no 503 heals by waiting.
  isNotThere: ({ status, text }) => status === 404 || (status === 400 && text.includes('not found')),
  isTransient: () => false,
  refusesName: (name) =>
    name === 'stats' ? 'Triton takes the path /v2/models/stats for its statistics' : v2.refusesName(name),
  layout: 'versioned',
};

const dialects: Readonly<Record<DialectName, Dialect>> = { embedded, v2, kserve, mlserver, triton };

/** In the order in which a person would look for one. */
export const dialectNames: readonly DialectName[] = ['embedded', 'v2', 'kserve', 'mlserver', 'triton'];

export function dialectFor(name: DialectName): Dialect {
  return dialects[name];
}

const errorBody = z.object({
  error: z.optional(z.string()),
  message: z.optional(z.string()),
  detail: z.optional(z.unknown()),
});

/** The server's own words in an error answer: `error` (V2), `detail` (FastAPI), `message` (TorchServe), or plain text. */
export function errorTextOf({ status, text }: Answer): string {
  const parsed = errorBody.safeParse(parseJson(text));
  const words = parsed.success ? (parsed.data.error ?? parsed.data.message ?? parsed.data.detail) : text;
  const line = (typeof words === 'string' ? words : JSON.stringify(words ?? '')).replaceAll(/\s+/g, ' ').trim();
  return line === '' || line === '""' ? `status ${status}` : line.slice(0, errorTextMax);
}

/** Long enough for a stack's first lines; statuses and log lines stay readable. */
const errorTextMax = 500;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
