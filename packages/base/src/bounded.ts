/** Lets at most `max` tasks run at a time; the others wait in the order they came. */
export type Bounded = {
  /** Runs `task` when there is room. Rejects with the signal's reason if it aborts while waiting. */
  run<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T>;
  readonly running: number;
  readonly waiting: number;
};

export function bounded(max: number): Bounded {
  let running = 0;
  const queue: (() => void)[] = [];

  const leave = () => {
    const next = queue.shift();
    if (next) next();
    else running--;
  };

  const enter = (signal: AbortSignal) =>
    new Promise<void>((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      if (running < max) {
        running++;
        return resolve();
      }
      const onAbort = () => {
        queue.splice(queue.indexOf(admit), 1);
        reject(signal.reason);
      };
      const admit = () => {
        signal.removeEventListener('abort', onAbort);
        resolve();
      };
      queue.push(admit);
      signal.addEventListener('abort', onAbort, { once: true });
    });

  return {
    async run(task, signal) {
      await enter(signal);
      try {
        return await task();
      } finally {
        leave();
      }
    },
    get running() {
      return running;
    },
    get waiting() {
      return queue.length;
    },
  };
}
