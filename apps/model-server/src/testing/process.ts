import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { expect } from 'vitest';

const main = join(import.meta.dirname, '../main.ts');
const started: ChildProcess[] = [];

/** The model server as a process of its own. */
export function startProcess(...args: string[]) {
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  const output = { text: '' };
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (part: string) => (output.text += part));
  return {
    child,
    output,
    /** Resolves when it listens. */
    async ports() {
      await expect.poll(() => output.text, { timeout: 10_000 }).toMatch(/model server listens/);
      return {
        http: Number(/"port":(\d+)/.exec(output.text)?.[1]),
        grpc: Number(/"grpcPort":(\d+)/.exec(output.text)?.[1]),
      };
    },
  };
}

export function killProcesses() {
  for (const child of started.splice(0)) child.kill('SIGKILL');
}
