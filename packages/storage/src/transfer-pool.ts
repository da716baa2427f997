/** Admits transfers of all artifacts together: so many at a time, and so many announced bytes under way. */
export type TransferPool = {
  run<T>(sizeBytes: number | undefined, task: () => Promise<T>, signal: AbortSignal): Promise<T>;
  readonly running: number;
};

export type TransferPoolLimits = { readonly connectionsMax: number; readonly bytesMax: number };

/** Objects up to this size count as connections only. */
const smallBytesMax = 1024 * 1024;

/**
 * Large objects wait for each other by their bytes, in order: a few at full speed end sooner than many at a crawl. Small ones
 * pass them, so that a small model never waits for a huge one.
 */
export function createTransferPool({ connectionsMax, bytesMax }: TransferPoolLimits): TransferPool {
  // At most four large objects of unknown or huge size at a time; their sum can never exceed the bound.
  const weightOf = (sizeBytes: number | undefined) =>
    sizeBytes !== undefined && sizeBytes <= smallBytesMax
      ? 0
      : Math.min(sizeBytes ?? Number.POSITIVE_INFINITY, bytesMax / 4);
  const queue: { readonly weight: number; readonly admit: () => void }[] = [];
  let running = 0;
  let bytes = 0;

  const admitWhatFits = () => {
    let largeWaits = false;
    for (let index = 0; index < queue.length && running < connectionsMax; ) {
      const { weight, admit } = queue[index] as (typeof queue)[number];
      if (weight > 0 && (largeWaits || bytes + weight > bytesMax)) {
        largeWaits = true;
        index++;
        continue;
      }
      queue.splice(index, 1);
      running++;
      bytes += weight;
      admit();
    }
  };

  const enter = (weight: number, signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const waiter = { weight, admit };
      function admit() {
        signal.removeEventListener('abort', onAbort);
        resolve();
      }
      function onAbort() {
        queue.splice(queue.indexOf(waiter), 1);
        reject(signal.reason);
        admitWhatFits();
      }
      signal.addEventListener('abort', onAbort, { once: true });
      queue.push(waiter);
      admitWhatFits();
    });

  return {
    async run(sizeBytes, task, signal) {
      const weight = weightOf(sizeBytes);
      await enter(weight, signal);
      try {
        return await task();
      } finally {
        running--;
        bytes -= weight;
        admitWhatFits();
      }
    },
    get running() {
      return running;
    },
  };
}
