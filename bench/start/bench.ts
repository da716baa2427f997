import { execFile, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startStack } from '@roundhouse/testkit';
import type { Benchmark, Measurement } from '../frame/benchmark.ts';
import { checkout } from '../frame/stack.ts';

const dataDirectory = mkdtempSync(join(tmpdir(), 'roundhouse-start-'));

/** From the command to every example model answering: on a fresh clone with empty caches, and at later starts. */
export const benchmark: Benchmark = {
  name: 'start',
  summary: 'npm start: fresh clone to all examples answering, and a second start',
  rounds: 3,
  shapes: ['fresh clone', 'second start'],
  against: [],
  subjects: [
    {
      name: 'roundhouse',
      async start() {
        await (await startStack({ checkout, dataDirectory })).stop();
      },
      measure: (shape) => (shape === 'fresh clone' ? freshClone() : secondStart()),
      async stop() {
        rmSync(dataDirectory, { recursive: true, force: true });
      },
    },
  ],
  bounds: [
    {
      subject: 'roundhouse',
      shape: 'fresh clone',
      metric: 'time to all examples answering',
      statistic: 'median',
      atMost: 90_000,
    },
    {
      subject: 'roundhouse',
      shape: 'second start',
      metric: 'time to all examples answering',
      statistic: 'median',
      atMost: 3_000,
    },
  ],
};

const measured = (value: number): Measurement[] => [{ metric: 'time to all examples answering', unit: 'ms', value }];

/** Clone, toolchain, dependencies, bundles, start: npm and pnpm get an empty home, so that no cache helps. */
async function freshClone(): Promise<Measurement[]> {
  const place = mkdtempSync(join(tmpdir(), 'roundhouse-clone-'));
  const registry = spawnSync('npm', ['config', 'get', 'registry'], { encoding: 'utf8' }).stdout.trim();
  const path = (process.env.PATH ?? '').split(':').filter((entry) => !entry.includes('.toolchain'));
  const env = { PATH: path.join(':'), HOME: join(place, 'home'), npm_config_registry: registry };
  const began = performance.now();
  try {
    await promisify(execFile)('git', ['clone', '--quiet', checkout, join(place, 'clone')]);
    const stack = await startStack({ checkout: join(place, 'clone'), command: 'npm', env });
    const measurements = measured(performance.now() - began);
    await stack.stop();
    return measurements;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function secondStart(): Promise<Measurement[]> {
  const began = performance.now();
  const stack = await startStack({ checkout, command: 'npm', dataDirectory });
  const measurements = measured(performance.now() - began);
  await stack.stop();
  return measurements;
}
