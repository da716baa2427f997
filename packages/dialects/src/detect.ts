import type { Clock } from '@roundhouse/base';
import type { DialectName } from './dialect.ts';
import { dialectFor } from './dialects.ts';
import { openModelServer, type ServerAddress } from './model-server.ts';

/** What the server metadata of V2 calls each kind of server. */
const dialectsByName: Readonly<Record<string, DialectName>> = {
  'roundhouse-model-server': 'embedded',
  kserve: 'kserve',
  mlserver: 'mlserver',
  triton: 'triton',
};

const askEveryMs = 100;

/** Asks the server what it is, until it answers: for where nobody says. One of no known kind is taken for plain V2. */
export async function detectDialect(
  deps: { readonly clock: Clock },
  address: ServerAddress,
  signal: AbortSignal,
): Promise<DialectName> {
  const server = openModelServer(deps, dialectFor('v2'), address);
  try {
    for (;;) {
      try {
        return dialectsByName[(await server.name(signal)) ?? ''] ?? 'v2';
      } catch {
        signal.throwIfAborted(); // otherwise it is not there yet
      }
      await deps.clock.sleep(askEveryMs, signal);
    }
  } finally {
    await server.close();
  }
}
