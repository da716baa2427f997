import type { Artifact } from '../../artifact.ts';
import type { Model } from '../../model.ts';
import { type OnnxSession, openOnnxSession } from './session.ts';
import type { OnnxWorkers } from './workers.ts';

/**
 * Sessions block their thread. Up to this size a run takes less than handing it to a worker and back (about 80 µs);
 * larger files are served by a worker.
 */
const onTheSpotBytesMax = 256 * 1024;

export async function loadOnnx({ path, sizeBytes }: Artifact, workers: OnnxWorkers): Promise<Model> {
  const session: OnnxSession = sizeBytes <= onTheSpotBytesMax ? await openOnnxSession(path) : await workers.open(path);
  return {
    platform: 'onnx_onnxv1',
    inputs: session.inputs,
    outputs: session.outputs,
    features: undefined,
    takesAnyNumber: false,
    predict: session.run,
    close: session.close,
  };
}
