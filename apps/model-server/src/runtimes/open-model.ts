import type { Clock } from '@roundhouse/base';
import type { Artifact } from '../artifact.ts';
import type { Memory } from '../memory.ts';
import { type Model, unsupported } from '../model.ts';
import type { Pool } from '../threads/pool.ts';
import type { OnnxDeps } from './onnx/onnx.ts';
import { tabularModel } from './tabular-model.ts';

export type RuntimeDeps = OnnxDeps & {
  readonly clock: Clock;
  readonly memory: Memory;
  readonly pool: Pick<Pool, 'ask'>;
};

/** As text, the file has to fit the longest string there is. */
const fileBytesMax = 512_000_000;
/** Memory that parsing takes at its height, as a multiple of the file: JSON takes the most. */
const parsingFactor = 6;

/** Loads a file with the runtime for its format. Runtimes are imported when first used: an idle server stays small. */
export async function openModel(deps: RuntimeDeps, artifact: Artifact): Promise<Model> {
  const { format } = artifact;
  if (format === 'onnx') return (await import('./onnx/onnx.ts')).loadOnnx(deps, artifact);
  return openTabular(deps, artifact, format);
}

async function openTabular(
  deps: RuntimeDeps,
  { path, sizeBytes, content }: Artifact,
  format: 'xgboost' | 'lightgbm',
): Promise<Model> {
  const { memory, pool } = deps;
  if (sizeBytes > fileBytesMax)
    throw unsupported(`the file has ${Math.ceil(sizeBytes / 1e6)} MB; files of trees of up to 512 MB are supported`);
  const reservation = memory.reserve(sizeBytes * parsingFactor);
  try {
    const { parseTabular } = await import('./tabular-file.ts');
    const { bytesOf } = await import('./program.ts');
    const tabular =
      // Some 50 MB are parsed in a second, so what is small is done on the spot.
      content === undefined ? await pool.ask('parseTabular', path, format) : parseTabular(content, format);
    reservation.resize(bytesOf(tabular.program));
    const model = tabularModel(deps, tabular);
    return { ...model, close: async () => reservation.release() };
  } catch (error) {
    reservation.release();
    throw error;
  }
}
