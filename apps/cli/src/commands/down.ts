import { type Clock, CodedError } from '@roundhouse/base';
import type { Output } from '../config.ts';
import { readState } from '../local-state.ts';

export type DownDeps = { readonly clock: Clock; readonly print: (text: string) => void };

/** All containers get their grace period, and a little more: a cluster that takes longer hangs. */
const stopMsMax = 30_000;

/** Asks the cluster of the data directory to stop and waits until its process is gone. */
export async function down(
  { clock, print }: DownDeps,
  request: { readonly dataDirectory: string; readonly output: Output },
  signal: AbortSignal,
) {
  const { pid } = readState(request.dataDirectory);
  process.kill(pid, 'SIGTERM');
  const deadline = clock.monotonic() + stopMsMax;
  while (isAlive(pid)) {
    if (clock.monotonic() > deadline) {
      throw new CodedError(
        'cli/still-running',
        `the local cluster (process ${pid}) did not stop in ${stopMsMax / 1000} s; look at what it prints`,
      );
    }
    await clock.sleep(50, signal);
  }
  print(
    request.output === 'json'
      ? JSON.stringify({ stopped: true, pid })
      : 'Stopped. What was applied is there again at the next "npm start".',
  );
  return 0;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
