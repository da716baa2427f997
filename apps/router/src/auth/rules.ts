import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, messageOf } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';
import { noApiKeys, parseApiKeys } from './api-keys.ts';
import type { Rules } from './guard.ts';
import { parseIssuers } from './issuers.ts';
import { createTokens } from './tokens.ts';

const lookMs = 2_000;

export type FollowedRules = { readonly current: Rules; run(signal: AbortSignal): Promise<void> };

/**
 * The rules in `directory` (a mounted Secret): `api-keys` and `issuers.json`, either of which may be absent. Read now, and again
 * when they change. A file that cannot be understood is logged, and what it said before stays in effect; at the start, that is
 * nothing, which opens nothing.
 */
export async function followRules(
  { clock, log }: { readonly clock: Clock; readonly log: Log },
  directory: string | undefined,
): Promise<FollowedRules> {
  let current: Rules = { apiKeys: noApiKeys, tokens: createTokens(clock, []) };
  const seen = { keys: '', issuers: '' };

  async function look() {
    if (directory === undefined) return;
    const keys = await textOf(join(directory, 'api-keys'));
    const issuers = await textOf(join(directory, 'issuers.json'));
    if (keys !== seen.keys) {
      seen.keys = keys;
      attempt('api-keys', () => {
        current = { ...current, apiKeys: parseApiKeys(keys) };
        log.info({ count: current.apiKeys.size }, 'API keys are in effect');
      });
    }
    if (issuers !== seen.issuers) {
      seen.issuers = issuers;
      attempt('issuers.json', () => {
        const parsed = issuers === '' ? [] : parseIssuers(issuers);
        current = { ...current, tokens: createTokens(clock, parsed) };
        log.info({ issuers: parsed.map(({ issuer }) => issuer) }, 'issuers of tokens are in effect');
      });
    }
  }

  function attempt(file: string, read: () => void) {
    try {
      read();
    } catch (error) {
      log.error({ file, problem: messageOf(error) }, 'the rules cannot be read; what was read before stays in effect');
    }
  }

  await look();
  return {
    get current() {
      return current;
    },
    async run(signal) {
      while (directory !== undefined && !signal.aborted) {
        await clock.sleep(lookMs, signal).catch(() => {});
        if (!signal.aborted) await look();
      }
    },
  };
}

/** Empty when the file is not there, which takes its rules away. */
const textOf = (path: string) =>
  readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
