import { hash } from 'node:crypto';
import { type Services, servicesOf } from './services.ts';

export type ApiKey = { readonly name: string; readonly opens: Services };

/** Keys by the hash of what clients show, so that neither the file nor a dump of this process holds one that opens anything. */
export type ApiKeys = { find(key: string): ApiKey | undefined; readonly size: number };

/**
 * Reads lines of `<name> <SHA-256 of the key, hex> <services, with commas>`; empty lines and those that begin with # are skipped.
 * Keys are expected to be random and long (`openssl rand -hex 32`): such a one cannot be found from its hash.
 * Throws with the line's number.
 */
export function parseApiKeys(text: string): ApiKeys {
  const keys = new Map<string, ApiKey>();
  text.split('\n').forEach((line, index) => {
    if (/^\s*(#|$)/.test(line)) return;
    const [name, digest = '', services, rest] = line.trim().split(/\s+/);
    const fail = (problem: string) => new Error(`line ${index + 1} of the API keys: ${problem}`);
    if (name === undefined || services === undefined || rest !== undefined) {
      throw fail('must be a name, a SHA-256 in hex, and services');
    }
    if (!/^(sha256:)?[0-9a-f]{64}$/i.test(digest))
      throw fail('the second word must be a SHA-256 in hex, never the key itself');
    try {
      keys.set(digest.slice(-64).toLowerCase(), { name, opens: servicesOf(services.split(',')) });
    } catch (error) {
      throw fail((error as Error).message);
    }
  });
  return { find: (key) => keys.get(hash('sha256', key)), size: keys.size };
}

export const noApiKeys: ApiKeys = { find: () => undefined, size: 0 };
