import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@roundhouse/base';
import { deepTreeOnnx } from '@roundhouse/testkit';
import { afterAll, describe, expect, it } from 'vitest';
import { fixturesOf } from '../../testing/fixtures.ts';
import { probeUrl } from '../../testing/open-repository.ts';
import { createProber } from './prober.ts';

const directory = mkdtempSync(join(tmpdir(), 'roundhouse-probe-'));
const prober = createProber({ clock: systemClock, probeUrl }, { loadMs: 60_000, trialMs: 200 });
const hasty = createProber({ clock: systemClock, probeUrl }, { loadMs: 0, trialMs: 0 });
const pathOf = (name: string) => fixturesOf('onnx').find((fixture) => fixture.name === name)?.path ?? name;
const crashing = join(directory, 'deep.onnx');
writeFileSync(crashing, deepTreeOnnx(50_000));

afterAll(async () => {
  await Promise.all([prober.close(), hasty.close()]);
  rmSync(directory, { recursive: true });
});

describe('a probe', () => {
  it('measures how long a file takes to load and to predict', async () => {
    const { loadMs, timings } = await prober.probe(pathOf('map-of-numbers'), 1_000);

    expect(loadMs).toBeGreaterThan(0);
    expect(timings.map(({ size }) => size)).toEqual([4, 256]);
  });

  it('refuses a file that crashes the runtime, and the next one is tried as if nothing had been', async () => {
    const results = await Promise.allSettled(
      [pathOf('map-of-numbers'), crashing, pathOf('mixed-inputs')].map((path) => prober.probe(path, 1_000)),
    );

    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(results[1]).toMatchObject({
      reason: { code: 'model/invalid', message: expect.stringMatching(/crashes ONNX Runtime \(SIG(SEGV|BUS)\)/) },
    });
  });

  it('tries a large file in a process of its own', async () => {
    await expect(prober.probe(crashing, 1e9)).rejects.toMatchObject({ code: 'model/invalid' });
    await expect(prober.probe(pathOf('mixed-inputs'), 1e9)).resolves.toMatchObject({ loadMs: expect.any(Number) });
  });

  it('lets a model pass that does not end its prediction, without a measurement', async () => {
    expect(await prober.probe(pathOf('endless'), 1_000)).toMatchObject({ timings: [] });
  });

  it('refuses a file that the runtime does not get done loading', async () => {
    await expect(hasty.probe(pathOf('mixed-inputs'), 1_000)).rejects.toThrow(/has not loaded the file/);
  });

  it('says why the runtime refuses a file', async () => {
    const path = join(directory, 'text.onnx');
    writeFileSync(path, 'hello');

    await expect(prober.probe(path, 5)).rejects.toThrow(/not a valid ONNX model/);
  });
});
