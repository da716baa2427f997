import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { stepClock } from '@roundhouse/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PodLogs } from '../api.ts';
import { startApi, until } from '../testing/cluster.ts';
import { pods } from '../workloads/kinds.ts';
import { type LogFiles, openLogFiles } from './log-files.ts';

const clock = stepClock();
const forever = new AbortController().signal;
let directory: string;
let logs: LogFiles;
let owner: { uid: string; container: string };

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'logs-'));
  const api = startApi();
  const containers = [{ name: 'main', image: 'any' }];
  const pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', namespace: 'default' }, spec: { containers } };
  owner = { uid: api.create(pods, pod).metadata.uid ?? '', container: 'main' };
  logs = openLogFiles({ api, clock, directory });
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

const everything: Parameters<PodLogs['read']>[0] = {
  namespace: 'default',
  pod: 'pod',
  container: 'main',
  follow: false,
  previous: false,
  tailLines: undefined,
  sinceSeconds: undefined,
  timestamps: false,
};
const read = (request: Partial<typeof everything> = {}) =>
  Array.fromAsync(logs.read({ ...everything, ...request }, forever));

/** Writes one run's log from its start to its end. */
async function run(instance: number, ...chunks: string[]): Promise<void> {
  const stream = new PassThrough();
  logs.record(owner, instance, [stream]);
  for (const chunk of chunks) stream.write(chunk);
  stream.end();
  await until('the end of the log', () => stream.closed);
}

describe('container logs', () => {
  it('show whole lines, the last ones, the recent ones, with their time if asked', async () => {
    const stream = new PassThrough();
    logs.record(owner, 0, [stream]);
    stream.write('one\ntw');
    stream.write('o\n');
    await until('two lines', async () => (await read()).length === 2);
    clock.advance(60_000);
    stream.end('three');
    await until('the end', () => stream.closed);

    expect(await read()).toEqual(['one', 'two', 'three']);
    expect(await read({ tailLines: 1 })).toEqual(['three']);
    expect(await read({ tailLines: 0 })).toEqual([]);
    expect(await read({ sinceSeconds: 30 })).toEqual(['three']);
    expect((await read({ timestamps: true, tailLines: 1 }))[0]).toBe(`${new Date(clock.now()).toISOString()} three`);
  });

  it('keep those of the run before, and no older ones', async () => {
    await run(0, 'zero\n');
    expect(() => logs.read({ ...everything, previous: true }, forever)).toThrow('not found');
    await run(1, 'one\n');
    await run(2, 'two\n');

    expect(await read()).toEqual(['two']);
    expect(await read({ previous: true })).toEqual(['one']);
    expect(readdirSync(join(directory, owner.uid, 'main')).sort()).toEqual(['1.log', '2.log']);
  });

  it('stay bounded, and cut lines that never end', async () => {
    await run(0, `${'x'.repeat(1000)}\n`.repeat(9_000), `${'y'.repeat(1000)}\n`.repeat(9_000), 'z'.repeat(20_000));
    const lines = await read();

    expect(lines.length).toBeLessThan(18_000);
    expect(lines.slice(-2).map(({ length }) => length)).toEqual([16_384, 20_000 - 16_384]);
    expect(readdirSync(join(directory, owner.uid, 'main')).sort()).toEqual(['0.log', '0.log.old']);
  });

  it('are followed to their end, or until the reader leaves', async () => {
    const stream = new PassThrough();
    logs.record(owner, 0, [stream]);
    stream.write('before\n');
    const followed = read({ follow: true });
    const leaving = new AbortController();
    const left = Array.fromAsync(logs.read({ ...everything, follow: true }, leaving.signal));
    stream.write('after\n');
    leaving.abort();
    await left;
    stream.end();

    expect(await followed).toEqual(['before', 'after']);
  });

  it('say why there are none', () => {
    expect(() => logs.read(everything, forever)).toThrow('is waiting to start');
    expect(() => logs.read({ ...everything, container: 'other' }, forever)).toThrow('is not valid for pod');
    expect(() => logs.read({ ...everything, pod: 'other' }, forever)).toThrow('not found');
  });
});
