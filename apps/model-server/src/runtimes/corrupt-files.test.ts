import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { ModelRefused } from '../model.ts';
import { fixturesOf, nativeCaseOf, predictRows } from '../testing/fixtures.ts';
import { parseLightgbm } from './lightgbm/load.ts';
import { openOnnxSession } from './onnx/session.ts';
import { parseXgboost } from './xgboost/load.ts';

/** A damaged file is refused, or it is still a model and gives numbers; nothing else may happen. */
function refusedOrPredicts(parse: () => ReturnType<typeof parseXgboost>, path: string): boolean {
  try {
    const { rows } = nativeCaseOf(path);
    const model = parse();
    if (model.featureCount === rows[0]?.length) predictRows(model, rows);
    return false;
  } catch (error) {
    if (!(error instanceof ModelRefused)) throw error;
    return true;
  }
}

const named = (runtime: 'xgboost' | 'lightgbm' | 'onnx', name: string) => {
  const found = fixturesOf(runtime).find((fixture) => fixture.name === name);
  if (found === undefined) throw new Error(`there is no fixture ${name}`);
  return found.path;
};

describe('a file that was cut off', () => {
  it.each(['squared-error', 'categories', 'dart-classes', 'linear'])(
    'is refused at every length: xgboost %s',
    (name) => {
      const path = named('xgboost', name);
      const bytes = readFileSync(path);
      const step = Math.max(1, Math.floor(bytes.length / 400));
      for (let length = 0; length < bytes.length; length += step)
        expect(refusedOrPredicts(() => parseXgboost(bytes.subarray(0, length)), path)).toBe(true);
    },
  );

  it.each(['categories', 'linear-trees', 'classes'])('is refused at every length: lightgbm %s', (name) => {
    const path = named('lightgbm', name);
    const text = readFileSync(path, 'utf8');
    const end = text.indexOf('end of trees');
    for (let length = 0; length < end; length += Math.max(1, Math.floor(end / 400)))
      expect(refusedOrPredicts(() => parseLightgbm(text.slice(0, length)), path)).toBe(true);
  });
});

describe('a file with changed bytes', () => {
  const edits = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { minLength: 1, maxLength: 4 });
  const damaged = (bytes: Buffer, changes: readonly (readonly [number, number])[]) => {
    const copy = Buffer.from(bytes);
    for (const [at, value] of changes) copy[at % copy.length] = value;
    return copy;
  };

  it.each(fixturesOf('xgboost').slice(0, 8))('never does worse than being refused: xgboost $name', ({ path }) => {
    const bytes = readFileSync(path);
    fc.assert(
      fc.property(edits, (changes) => {
        refusedOrPredicts(() => parseXgboost(damaged(bytes, changes)), path);
      }),
      { numRuns: 100 },
    );
  });

  it.each(fixturesOf('lightgbm').slice(0, 8))('never does worse than being refused: lightgbm $name', ({ path }) => {
    const bytes = readFileSync(path);
    fc.assert(
      fc.property(edits, (changes) => {
        refusedOrPredicts(() => parseLightgbm(damaged(bytes, changes).toString('latin1')), path);
      }),
      { numRuns: 100 },
    );
  });
});

describe('an ONNX file', () => {
  const directory = mkdtempSync(join(tmpdir(), 'roundhouse-onnx-'));
  afterAll(() => rmSync(directory, { recursive: true }));

  it('that was cut off is refused, whatever is left of it', async () => {
    const bytes = readFileSync(named('onnx', 'mixed-inputs'));
    const path = join(directory, 'cut.onnx');
    for (let length = 0; length < bytes.length; length += Math.floor(bytes.length / 60)) {
      writeFileSync(path, bytes.subarray(0, length));
      await expect(openOnnxSession(path)).rejects.toBeInstanceOf(ModelRefused);
    }
  });

  it('that is refused says so without naming a place on this machine', async () => {
    const path = join(directory, 'text.onnx');
    writeFileSync(path, 'this is not a model');

    await expect(openOnnxSession(path)).rejects.toThrow(/^not a valid ONNX model: (?!.*roundhouse-onnx)/);
  });
});
