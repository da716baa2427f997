import { CodedError, messageOf, systemClock } from '@roundhouse/base';
import type { ProbeAnswer, ProbeQuestion } from './runtimes/onnx/probe-protocol.ts';
import { openOnnxSession } from './runtimes/onnx/session.ts';
import { timeRuns } from './runtimes/onnx/trial.ts';
import { warmUpOnnx } from './runtimes/onnx/warm-up.ts';

// A process of its own for files that may crash the native runtime. What the library does only once is not the file's cost.
// Where it fails, no file is to blame: whoever asks is told why.
let inTheWay: unknown;
await warmUpOnnx().catch((error) => {
  inTheWay = error;
});

const say = (answer: ProbeAnswer) => process.send?.(answer);

const attemptsMax = 4;
const quickMs = 5;
const slowMs = 100;

/** The kernel accounts for CPU time in steps of a tick, 4 ms on most systems. */
const tickMs = 4;

/** Milliseconds that the work took, not counting that others had the processor meanwhile, as far as that can be told. */
function stopwatch(): () => number {
  const startedMs = systemClock.monotonic();
  const before = process.cpuUsage();
  return () => {
    const { user, system } = process.cpuUsage(before);
    return Math.min(systemClock.monotonic() - startedMs, (user + system) / 1_000 + tickMs);
  };
}

/** Loads again what loaded slowly, but not so slowly that it must be the file: on a busy machine it may have been the wait. */
async function open(path: string) {
  let loadMs = Number.POSITIVE_INFINITY;
  for (let attempt = 1; ; attempt++) {
    const elapsedMs = stopwatch();
    const session = await openOnnxSession(path);
    loadMs = Math.min(loadMs, elapsedMs());
    if (attempt === attemptsMax || loadMs < quickMs || loadMs > slowMs) return { session, loadMs };
    await session.close();
  }
}

/** What the process needs between two files; measured when nobody waits for it. */
let restingBytes = process.memoryUsage.rss();

process.on('message', async ({ path }: ProbeQuestion) => {
  try {
    if (inTheWay !== undefined) throw inTheWay;
    const { session, loadMs } = await open(path);
    say({ kind: 'loaded', loadMs });
    const timings = await timeRuns(session, () => systemClock.monotonic());
    say({ kind: 'tried', timings, memoryBytes: Math.max(0, process.memoryUsage.rss() - restingBytes) });
    await session.close();
    restingBytes = process.memoryUsage.rss();
  } catch (error) {
    say({ kind: 'refused', code: error instanceof CodedError ? error.code : '', message: messageOf(error) });
  }
});
// The server ended, however that was.
process.on('disconnect', () => process.exit(0));
