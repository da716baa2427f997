import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

export type RunOptions = { readonly input?: string; readonly env?: NodeJS.ProcessEnv; readonly timeoutMs?: number };

/** Runs a command; resolves with its standard output, rejects with its standard error in the message. */
export async function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { input = '', env, timeoutMs = 600_000 } = options;
  const running = promisify(execFile)(file, [...args], {
    env: { ...process.env, ...env },
    maxBuffer: 64 * 2 ** 20,
    timeout: timeoutMs,
  });
  running.child.stdin?.on('error', () => {}); // it may end before it reads what it does not need
  running.child.stdin?.end(input);
  const { stdout } = await running;
  return stdout;
}
