import { readFile } from 'node:fs/promises';
import { type Clock, messageOf } from '@roundhouse/base';
import type { Log } from '@roundhouse/telemetry';

/** How soon a change is noticed. A kubelet takes up to a minute to bring one, so looking is as good as watching, and always works. */
const lookMs = 2_000;

export type FollowDeps = { readonly clock: Clock; readonly log: Log };

/**
 * Reads `paths` now and, until `signal` aborts, again and again; calls `onChange` with their contents whenever one differs from
 * the last time. What cannot be read, or what `onChange` throws at, is logged once, and what was in effect stays so.
 * Rejects when the first reading fails.
 */
export async function followFiles<Contents extends readonly string[]>(
  { clock, log }: FollowDeps,
  paths: readonly [...{ [Index in keyof Contents]: string }],
  onChange: (contents: Contents) => unknown,
): Promise<{ run(signal: AbortSignal): Promise<void> }> {
  const read = async () => (await Promise.all(paths.map((path) => readFile(path, 'utf8')))) as unknown as Contents;
  let seen = await read();
  await onChange(seen);
  let told = '';

  async function look() {
    try {
      const next = await read();
      if (next.every((text, index) => text === seen[index])) return;
      seen = next;
      await onChange(next);
      told = '';
      log.info({ paths }, 'files changed and are in effect');
    } catch (error) {
      const message = messageOf(error);
      if (message !== told)
        log.error({ paths, problem: message }, 'files cannot be used; what was read before stays in effect');
      told = message;
    }
  }

  return {
    async run(signal) {
      while (!signal.aborted) {
        await clock.sleep(lookMs, signal).catch(() => {});
        if (!signal.aborted) await look();
      }
    },
  };
}
