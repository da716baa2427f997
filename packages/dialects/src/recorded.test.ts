import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { describe, expect, it } from 'vitest';
import { type DialectName, dialectFor, dialectNames } from './index.ts';
import { type ModelServer, openModelServer } from './model-server.ts';

/** What real servers answered (`npm run interop -- --record`), and what the agent must make of it. */

const fixtures = join(import.meta.dirname, '../fixtures');

type Exchange = { readonly call: string; readonly status: number; readonly text: string };

function read(directory: string, name: string): Exchange {
  const [call = '', head = '', ...rest] = readFileSync(join(fixtures, directory, `${name}.http`), 'utf8').split('\n\n');
  return { call, status: Number.parseInt(head, 10), text: rest.join('\n\n').replace(/\n$/, '') };
}

/** A server that answers as recorded, whatever it is asked; resolves with what `act` made of it and what it asked. */
async function replay<T>(
  dialect: DialectName,
  exchanges: readonly Exchange[],
  act: (server: ModelServer) => Promise<T>,
) {
  const calls: string[] = [];
  const remaining = [...exchanges];
  const recorded = createServer((request, response) => {
    calls.push(`${request.method} ${request.url}`);
    const { status, text } = (remaining.length > 1 ? remaining.shift() : remaining[0]) ?? { status: 599, text: '' };
    response.writeHead(status).end(text);
  });
  await new Promise<void>((resolve) => recorded.listen(0, '127.0.0.1', resolve));
  const { port } = recorded.address() as AddressInfo;
  const server = openModelServer({ clock: systemClock }, dialectFor(dialect), { port });
  try {
    return { result: await act(server), calls };
  } finally {
    await server.close();
    recorded.close();
    recorded.closeAllConnections();
  }
}

const signal = AbortSignal.timeout(20_000);
const ready = (server: ModelServer) => server.list(['good', 'corrupt'], signal).then(readyNames);
const readyNames = (models: Awaited<ReturnType<ModelServer['list']>>) =>
  models.filter((model) => model.ready).map(({ name }) => name);
const refusal = (server: ModelServer, model: string) =>
  server.load(model, signal).then(
    () => 'it loaded',
    ({ code, message }: { code: string; message: string }) => `${code} ${message}`,
  );

/** Directories are named after the dialect and the server's version. */
const recordings = readdirSync(fixtures).map((directory) => {
  const dialect = dialectNames.find((name) => directory.startsWith(`${name}-`));
  if (dialect === undefined) throw new Error(`fixtures/${directory} is of no dialect`);
  return { directory, dialect };
});

describe.each(recordings)('as $directory answers', ({ directory, dialect }) => {
  const given = (name: string) => read(directory, name);
  const on = <T>(name: string, act: (server: ModelServer) => Promise<T>) => replay(dialect, [given(name)], act);

  it('it is live', async () => {
    expect(await on('live', (server) => server.isLive(signal))).toEqual({ result: true, calls: [given('live').call] });
  });

  it.each(['load-good', 'load-again'])('%s is done', async (name) => {
    const { calls } = await on(name, (server) => server.load('good', signal));

    expect(calls).toEqual([given(name).call]);
  });

  it('a model that no library can read is refused for what it is, with the words of the library', async () => {
    const { result } = await on('load-corrupt', (server) => refusal(server, 'corrupt'));

    expect(result).toMatch(
      /^server\/rejected the model server refused to load corrupt \(\d+\): .*(IndexError|SyntaxError)/,
    );
  });

  it('one whose files are not there is refused too', async () => {
    const { result } = await on('load-unknown', (server) => refusal(server, 'unknown'));

    expect(result).toMatch(/^server\/rejected the model server refused to load unknown/);
  });

  it.each(['unload-unknown', 'unload-again'])('%s counts as done', async (name) => {
    await replay(dialect, [given(name), given('list-none')], (server) => server.unload('good', signal));
  });

  it('an unloaded model is not ready, and neither is one that never was', async () => {
    for (const name of ['ready-unloaded', 'ready-unknown']) {
      expect((await on(name, (server) => server.isReady('good', signal))).result).toBe(false);
    }
    expect((await on('ready-good', (server) => server.isReady('good', signal))).result).toBe(true);
  });

  if (dialectFor(dialect).listing === undefined) return; // MLServer's index is of its disk, and not asked
  it('it lists what is ready, and nothing else', async () => {
    expect((await on('list-none', ready)).result).toEqual([]);
    expect((await on('list-after-corrupt', ready)).result).toEqual([]);
    expect((await on('list-good', ready)).result).toEqual(['good']);
  });
});
