import { z } from 'zod/mini';
import type { Dialect, ListedModel, Listing } from './dialect.ts';

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

/** The protocol and its repository extension, as far as all servers agree. */
export const v2: Dialect = {
  name: 'v2',
  protocols: { v1: false, v2: true, grpc: true },
  listing: repositoryIndex,
  livePath: '/v2/health/live',
  unloadIsSynchronous: true,
  isNotThere: ({ status }) => status === 404,
  isTransient: ({ status }) => status === 503 || status === 429,
  isFull: ({ status }) => status === 507,
  refusesName: (name) =>
    plainName.test(name) ? undefined : 'a model server takes names of letters, digits, "_", "-" and "." only',
  readsAtEachLoad: undefined,
  wantsContentType: false,
  layout: undefined,
};

/** `apps/model-server`. Any artifact that holds one model file will do. */
export const embedded: Dialect = { ...v2, name: 'embedded', protocols: { v1: true, v2: true, grpc: true } };
