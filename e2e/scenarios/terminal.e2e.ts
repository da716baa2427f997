import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { IPty } from '@lydell/node-pty';
import xterm from '@xterm/headless';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkout, until } from '../frame/world.ts';

/** What a person sees who starts the stack in a terminal, and ends it with Ctrl-C. */

const main = join(checkout, 'apps/cli/dist/main.mjs');
const [columns, rows] = [100, 50];
/** Undefined where it has no binary for the system. */
const pty = await import('@lydell/node-pty').catch(() => undefined);

describe.skipIf(pty === undefined)('the live view in a terminal (skipped where node-pty has no binary)', () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), 'roundhouse-terminal-'));
  const screen = new xterm.Terminal({ cols: columns, rows, scrollback: 1_000, allowProposedApi: true });
  let terminal: IPty;
  let exit: Promise<number>;
  let writes = 0;

  beforeAll(async () => {
    const args = [main, 'up', '--port', '0', '--data-dir', dataDirectory];
    if (pty === undefined) return;
    terminal = pty.spawn(process.execPath, args, { cols: columns, rows, cwd: checkout, env: process.env });
    exit = new Promise((resolve) => terminal.onExit(({ exitCode }) => resolve(exitCode)));
    terminal.onData((data) => {
      writes++;
      screen.write(data);
    });
    await until('the live view', async () => shown(/models ready/).length > 0, 90_000);
  });

  afterAll(() => {
    terminal?.kill('SIGKILL');
    rmSync(dataDirectory, { recursive: true, force: true });
  });

  /** Lines of the terminal, those that have been scrolled away included. */
  function shown(pattern: RegExp): string[] {
    const { active } = screen.buffer;
    const lines = Array.from({ length: active.length }, (_, row) => active.getLine(row)?.translateToString(true) ?? '');
    return lines.filter((line) => pattern.test(line));
  }

  const routerUrl = () => /http:\/\/127\.0\.0\.1:\d+/.exec(shown(/predictions at/)[0] ?? '')?.[0] ?? '';

  it('counts models and requests in one place, and writes nothing while nothing changes', async () => {
    const [head = ''] = shown(/models ready/);
    const total = Number(/of (\d+) models/.exec(head)?.[1]);
    expect(head).toMatch(new RegExp(`^${total} of ${total} models ready · \\d+ requests · \\d+ per second$`));
    expect(shown(/^ {2}[●○] /)).toHaveLength(total);
    const requestsShown = () => Number(/· (\d+) requests/.exec(shown(/models ready/)[0] ?? '')?.[1]);
    const before = requestsShown();
    // One burst changes the block a few times: the count, the rate, and the rate back to nothing.
    for (let sent = 0; sent < 5; sent++) await fetch(`${routerUrl()}/v2/models/nobody`, { method: 'POST' });
    await until('the requests to be counted', async () => requestsShown() === before + 5);
    await until('the rate to be nothing again', async () => shown(/ 0 per second$/).length === 1);
    const calm = writes;
    await fetch(`${routerUrl()}/v2/models/nobody`, { method: 'POST' });
    await until('the next request to be counted', async () => requestsShown() === before + 6);

    expect(writes - calm).toBeLessThanOrEqual(2);
    expect(shown(/models ready/)).toHaveLength(1);
    expect(shown(/^ {2}[●○] /)).toHaveLength(total);
  });

  it('ends with Ctrl-C, says so, and leaves no process', async () => {
    const listed = JSON.parse(readFileSync(join(dataDirectory, 'node/processes.json'), 'utf8')) as { pid: number }[];
    expect(listed.length).toBeGreaterThan(2);
    terminal.write('\u0003');

    expect(await exit).toBe(0);
    await until('the last words', async () => shown(/Stopping …$/).length === 1);
    for (const { pid } of [...listed, terminal]) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    // The view stays as it was: the last words come below it, not over it.
    expect(shown(/models ready/)).toHaveLength(1);
  });
});
