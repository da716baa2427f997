import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** The whole product as users start it: `roundhouse up` in a process of its own. */
export type Stack = {
  readonly apiUrl: string;
  readonly token: string;
  /** The API's certificate authority, PEM. */
  readonly ca: string;
  readonly kubeconfig: string;
  readonly routerUrl: string;
  readonly dataDirectory: string;
  readonly process: ChildProcess;
  /** Lines of standard output so far. */
  readonly output: readonly string[];
  /** SIGTERM, as Ctrl-C; resolves with the exit status once the process is gone. */
  stop(): Promise<number | null>;
};

export type StackOptions = {
  readonly checkout: string;
  /** `bundle` runs the bundle with this Node.js; `npm` is what users type, set-up included. */
  readonly command?: 'bundle' | 'npm';
  /** Kept when given; otherwise a temporary one that goes with the stack. */
  readonly dataDirectory?: string;
  readonly args?: readonly string[];
  /** Instead of this process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>>;
};

/** Resolves once the stack says that it is up; rejects with all that it printed if it ends before. */
export async function startStack(options: StackOptions): Promise<Stack> {
  const { checkout, dataDirectory, args = [], env = process.env } = options;
  const directory = dataDirectory ?? mkdtempSync(join(tmpdir(), 'roundhouse-'));
  const [file, ...before] =
    options.command === 'npm'
      ? ['npm', 'start', '--']
      : [process.execPath, join(checkout, 'apps/cli/dist/main.mjs'), 'up'];
  const child = spawn(file ?? '', [...before, '--port', '0', '--data-dir', directory, ...args], {
    cwd: checkout,
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
  });
  const output: string[] = [];
  const errors: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => errors.push(line));
  await new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      output.push(line);
      if (line === 'Roundhouse is up') resolve();
    });
    child.once('exit', (status) =>
      reject(new Error(`roundhouse up ended with ${status}:\n${[...output, ...errors].join('\n')}`)),
    );
  });
  const kubeconfig = join(directory, 'kubeconfig');
  const text = readFileSync(kubeconfig, 'utf8');
  const { routerUrl }: { routerUrl: string } = JSON.parse(readFileSync(join(directory, 'up.json'), 'utf8'));
  return {
    apiUrl: fieldOf(text, 'server'),
    token: fieldOf(text, 'token'),
    ca: Buffer.from(fieldOf(text, 'certificate-authority-data'), 'base64').toString(),
    kubeconfig,
    routerUrl,
    dataDirectory: directory,
    process: child,
    output,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      if (dataDirectory === undefined) rmSync(directory, { recursive: true, force: true });
      return child.exitCode;
    },
  };
}

function fieldOf(kubeconfig: string, key: string): string {
  const value = new RegExp(`^\\s*(?:- )?${key}:\\s*"?([^"\\s]+)"?\\s*$`, 'm').exec(kubeconfig)?.[1];
  if (value === undefined) throw new Error(`the kubeconfig has no ${key}`);
  return value;
}
