import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { clusterRequests, type Stack, startStack, trainedModels } from '@roundhouse/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout, until } from '../frame/world.ts';

/** A newcomer's first quarter of an hour: start, look, ask, break, stop, start again. */

const main = join(checkout, 'apps/cli/dist/main.mjs');
const run = promisify(execFile);

describe('the command line', () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'roundhouse-first-'));
  let stack: Stack;

  beforeAll(async () => {
    stack = await startStack({ checkout, dataDirectory });
  });
  afterAll(async () => {
    await stack?.stop();
    rmSync(dataDirectory, { recursive: true, force: true });
  });

  const roundhouse = (...args: readonly string[]) =>
    run(process.execPath, [main, ...args, '--data-dir', dataDirectory], { encoding: 'utf8' });

  it('prints requests that work when they are pasted into a shell', () => {
    const commands = stack.output.filter((line) => line.trimStart().startsWith('curl '));
    const answers = commands.map((command) =>
      JSON.parse(execFileSync('/bin/sh', ['-c', command], { encoding: 'utf8' })),
    );

    expect(answers).toHaveLength(2);
    expect(answers[0]).toHaveProperty('outputs');
    expect(answers[1]).toHaveProperty('predictions');
  });

  it('answers each example as the native library did', async () => {
    const { models } = JSON.parse((await roundhouse('status', '-o', 'json')).stdout) as { models: { name: string }[] };

    expect(models.length).toBeGreaterThanOrEqual(6);
    for (const { name } of models) {
      const expected = JSON.parse(readFileSync(join(checkout, 'examples/expected', `${name}.json`), 'utf8'));
      for (const protocol of ['v1', 'v2'] as const) {
        const { stdout } = await roundhouse('predict', name, '--protocol', protocol, '-o', 'json');

        expectClose(JSON.parse(stdout).body, expected.response[protocol], expected.toleranceRelative);
      }
    }
  });

  it('shows models, their life and their state, for people and for programs', async () => {
    const { items } = await clusterRequests(stack).get<{ items: { metadata: { name: string } }[] }>(trainedModels);
    const name = items[0]?.metadata.name ?? '';

    expect((await roundhouse('get', 'models')).stdout).toMatch(/NAMESPACE +NAME +URL +READY/);
    expect(JSON.parse((await roundhouse('get', 'models', '-o', 'json')).stdout)).toHaveLength(items.length);
    expect((await roundhouse('logs', name)).stdout).toMatch(/loaded in/);
    expect((await roundhouse('status')).stdout).toContain(name);
  });

  it('explains itself, also through npm', async () => {
    const { stdout } = await run('npm', ['start', '--silent', '--', '--help'], { cwd: checkout, encoding: 'utf8' });

    for (const option of ['--port', '--data-dir', '--no-examples', '--file-root']) expect(stdout).toContain(option);
    expect((await run(process.execPath, [main, 'predict', '--help'])).stdout).toContain('roundhouse predict MODEL');
  });

  it('says what is wrong in one sentence', async () => {
    const port = new URL(stack.routerUrl).port;
    const fails = async (...args: readonly string[]) => {
      const error = await run(process.execPath, [main, ...args]).catch(
        (caught: { code: number; stderr: string }) => caught,
      );
      return 'code' in error ? error : { code: 0, stderr: '' };
    };

    expect(await fails('up', '--data-dir', `${dataDirectory}-other`, '--port', port)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining(`port ${port} of 127.0.0.1 is taken`),
    });
    expect(await fails('up', '--data-dir', dataDirectory, '--port', '0')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/already|another/),
    });
    expect(await fails('status', '--data-dir', '/nowhere')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('no local cluster runs in /nowhere'),
    });
    expect(await fails('predict', 'nobody', '--data-dir', dataDirectory)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('nobody'),
    });
    rmSync(`${dataDirectory}-other`, { recursive: true, force: true });
  });

  it('has everything again at the next start, also what was deleted stays deleted', async () => {
    const api = clusterRequests(stack);
    const before = await modelNames(stack);
    await api.delete(`${trainedModels}/${before[0]}`);
    await until('the deleted model is gone', async () => !(await modelNames(stack)).includes(before[0] ?? ''));
    expect(await stack.stop()).toBe(0);
    stack = await startStack({ checkout, dataDirectory });

    expect(await modelNames(stack)).toEqual(before.slice(1));
  });

  it('leaves no process when it is stopped', async () => {
    const started = descendantsOf(stack.process.pid ?? 0);
    expect(started.length).toBeGreaterThanOrEqual(4);
    expect(await stack.stop()).toBe(0);

    expect(started.filter(isAlive)).toEqual([]);
  });

  it('leaves no process when it is killed, and starts again with all models', async () => {
    const killed = await startStack({ checkout, dataDirectory });
    const before = await modelNames(killed);
    const started = descendantsOf(killed.process.pid ?? 0);
    killed.process.kill('SIGKILL');
    await once(killed.process, 'exit');
    await until('its processes are gone', async () => !started.some(isAlive));
    stack = await startStack({ checkout, dataDirectory });

    expect(await modelNames(stack)).toEqual(before);
  });

  it('leaves no process when npm, which started it, is asked to end', async () => {
    await stack.stop();
    stack = await startStack({ checkout, dataDirectory, command: 'npm' });
    const started = descendantsOf(stack.process.pid ?? 0);
    await stack.stop();
    await until('its processes are gone', async () => !started.some(isAlive));
    stack = await startStack({ checkout, dataDirectory });

    expect(started.length).toBeGreaterThanOrEqual(5);
  });

  it('stops with "down", and while it is still starting', async () => {
    const stopped = await roundhouse('down');
    expect(stopped.stdout).toMatch(/^Stopped\./);
    const early = spawn(process.execPath, [main, 'up', '--port', '0', '--data-dir', dataDirectory], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(early.stdout, 'data'); // the API is up, the models are on their way
    early.kill('SIGINT');
    const [status] = await once(early, 'exit');

    expect(status).toBe(0);
  });
});

async function modelNames(stack: Stack): Promise<string[]> {
  const { items } = await clusterRequests(stack).get<{ items: { metadata: { name: string } }[] }>(trainedModels);
  return items.map(({ metadata }) => metadata.name);
}

function descendantsOf(pid: number): number[] {
  const table = execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/).map(Number));
  const found = [pid];
  for (const parent of found) {
    for (const [child = 0, ofParent] of table) if (ofParent === parent && !found.includes(child)) found.push(child);
  }
  return found.slice(1);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Numbers within a relative tolerance, everything else exactly. Only what is expected is compared. */
function expectClose(actual: unknown, expected: unknown, tolerance: number, path = '$'): void {
  if (typeof expected === 'number') {
    const difference = Math.abs((actual as number) - expected);
    expect(difference, `${path}: ${actual} is not ${expected}`).toBeLessThanOrEqual(
      tolerance * Math.max(1e-6, Math.abs(expected)),
    );
  } else if (typeof expected === 'object' && expected !== null) {
    for (const [key, value] of Object.entries(expected)) {
      expectClose((actual as Record<string, unknown> | undefined)?.[key], value, tolerance, `${path}.${key}`);
    }
  } else {
    expect(actual, path).toEqual(expected);
  }
}
