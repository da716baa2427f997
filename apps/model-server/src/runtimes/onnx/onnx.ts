import { stat } from 'node:fs/promises';
import type { Clock } from '@roundhouse/base';
import type { Tensor } from '@roundhouse/v2-protocol';
import type { Artifact } from '../../artifact.ts';
import { type Cost, createCost } from '../../cost.ts';
import type { Memory, Reservation } from '../../memory.ts';
import type { Model } from '../../model.ts';
import { onTheSpotMsMax } from '../../on-the-spot.ts';
import type { HostedSession, Hosts } from './hosts.ts';
import type { Prober } from './prober.ts';
import { type OnnxSession, openOnnxSession } from './session.ts';
import { sizeOf } from './trial.ts';

export type OnnxDeps = {
  readonly clock: Clock;
  readonly memory: Memory;
  readonly prober: Pick<Prober, 'probe'>;
  readonly hosts: Pick<Hosts, 'open'>;
  /** Resolves once the library is in this process' memory, without having held up this thread. */
  readonly warmUp: () => Promise<void>;
};

/** Loading is done once, so others may wait a little longer for it than for a prediction. */
const loadMsMax = 8;
/** What takes longer than this to load or to predict gets a thread of its own; others share. */
const sharedMsMax = 25;
/** What a session takes however small its file is; a probe does not see it where memory is used again. */
const sessionBytes = 128 * 1024;

/**
 * Sessions block their thread. A model whose load and first predictions were quick in the trial is held by the thread that
 * answers requests; others by a thread beside it.
 */
export async function loadOnnx(deps: OnnxDeps, artifact: Artifact): Promise<Model> {
  const { memory, prober, hosts, warmUp } = deps;
  const { path, sizeBytes } = artifact;
  const reservation = memory.reserve(sizeBytes + sessionBytes);
  /** What loads without harm, and quickly, is loaded here while the probe goes on to predict. */
  let opening: Promise<OnnxSession> | undefined;
  const onLoaded = (loadMs: number) => {
    if (loadMs > loadMsMax) return;
    opening = warmUp().then(() => openOnnxSession(path));
    opening.catch(() => {}); // awaited below, unless the probe fails
  };
  void warmUp(); // while the probe starts
  try {
    const { loadMs, timings, memoryBytes } = await prober.probe(path, sizeBytes, onLoaded);
    reservation.resize(Math.max(memoryBytes, sizeBytes + sessionBytes));
    const runMs = timings[0]?.ms ?? Number.POSITIVE_INFINITY;
    if (opening !== undefined && runMs <= onTheSpotMsMax) {
      const cost = createCost(Number.POSITIVE_INFINITY);
      for (const { size, ms } of timings) cost.learn(size, ms);
      return held({ ...deps, artifact, cost, reservation }, await opening);
    }
    await discard(opening);
    return hosted(await hosts.open(path, Math.max(loadMs, runMs) > sharedMsMax), reservation);
  } catch (error) {
    await discard(opening);
    reservation.release();
    throw error;
  }
}

async function discard(opening: Promise<OnnxSession> | undefined) {
  await opening?.then(
    (session) => session.close(),
    () => {},
  );
}

type Held = OnnxDeps & { readonly artifact: Artifact; readonly cost: Cost; readonly reservation: Reservation };

/** Predicts on the spot; what would take long there goes to a second session on another thread, opened when first needed. */
function held(deps: Held, session: OnnxSession): Model {
  const { clock, cost, reservation } = deps;
  let second: Promise<HostedSession | undefined> | undefined;
  const here = async (inputs: readonly Tensor[], wanted: readonly string[]) => {
    const startedMs = clock.monotonic();
    const outputs = await session.run(inputs, wanted);
    cost.learn(sizeOf(inputs), clock.monotonic() - startedMs);
    return outputs;
  };
  const elsewhere = async (inputs: readonly Tensor[], wanted: readonly string[]) => {
    second ??= openSecond(deps);
    const other = await second;
    if (other === undefined) return here(inputs, wanted);
    const size = sizeOf(inputs);
    const { outputs, ms } = await other.run(inputs, wanted);
    cost.learn(size, ms);
    return outputs;
  };
  return {
    ...describe(session),
    predict: (inputs, wanted) => (cost.estimateMs(sizeOf(inputs)) <= onTheSpotMsMax ? here : elsewhere)(inputs, wanted),
    async close() {
      await Promise.all([session.close(), (await second)?.close()]);
      reservation.release();
    },
  };
}

/** Undefined where there is no room for it, or where the file is another one by now: then the first session has to do. */
async function openSecond({ artifact, hosts, reservation }: Held): Promise<HostedSession | undefined> {
  const before = reservation.bytes;
  try {
    const { mtimeMs, ino } = await stat(artifact.path);
    if (mtimeMs !== artifact.mtimeMs || ino !== artifact.ino) return undefined;
    reservation.resize(2 * before);
    return await hosts.open(artifact.path, false);
  } catch {
    reservation.resize(before);
    return undefined;
  }
}

function hosted(session: HostedSession, reservation: Reservation): Model {
  return {
    ...describe(session),
    predict: async (inputs, wanted) => (await session.run(inputs, wanted)).outputs,
    async close() {
      await session.close();
      reservation.release();
    },
  };
}

function describe({ inputs, outputs }: Pick<OnnxSession, 'inputs' | 'outputs'>) {
  return { platform: 'onnx_onnxv1', inputs, outputs, features: undefined, takesAnyNumber: false };
}
