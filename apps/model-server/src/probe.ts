import { CodedError, messageOf, systemClock } from '@roundhouse/base';
import type { ProbeAnswer, ProbeQuestion } from './runtimes/onnx/probe-protocol.ts';
import { openOnnxSession } from './runtimes/onnx/session.ts';
import { timeRuns } from './runtimes/onnx/trial.ts';

// A process of its own for files that may crash the native runtime. Loading the library is not the file's cost.
await import('onnxruntime-node');

const say = (answer: ProbeAnswer) => process.send?.(answer);

process.on('message', async ({ path }: ProbeQuestion) => {
  try {
    const bytesBefore = process.memoryUsage.rss();
    const startedMs = systemClock.monotonic();
    const session = await openOnnxSession(path);
    say({ kind: 'loaded', loadMs: systemClock.monotonic() - startedMs });
    const timings = await timeRuns(session, () => systemClock.monotonic());
    say({ kind: 'tried', timings, memoryBytes: Math.max(0, process.memoryUsage.rss() - bytesBefore) });
    await session.close();
  } catch (error) {
    say({ kind: 'refused', code: error instanceof CodedError ? error.code : '', message: messageOf(error) });
  }
});
// The server ended, however that was.
process.on('disconnect', () => process.exit(0));
