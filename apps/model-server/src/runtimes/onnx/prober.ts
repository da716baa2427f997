import { type ChildProcess, fork } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { setPriority } from 'node:os';
import type { Clock } from '@roundhouse/base';
import { corrupt, type ModelRefused, noSpace, unsupported } from '../../model.ts';
import type { ProbeAnswer, ProbeQuestion } from './probe-protocol.ts';
import type { Timing } from './trial.ts';

/** How a file did in a process of its own. */
export type Trial = {
  readonly loadMs: number;
  /** Of predictions on made-up inputs; empty where none could be made, or none ended in time. */
  readonly timings: readonly Timing[];
  readonly memoryBytes: number;
};

/** Loads files in child processes first, so that one that crashes ONNX Runtime takes nothing with it. */
export type Prober = {
  /**
   * Rejects with ModelRefused when the file cannot be loaded, or when loading it ends the process that tries. `onLoaded` is told
   * that it can be, before predictions are tried.
   */
  probe(path: string, sizeBytes: number, onLoaded?: (loadMs: number) => void): Promise<Trial>;
  close(): Promise<void>;
};

/** It shares the code with the server, and shall need little else: no room for garbage, no threads that compile. */
const lean = ['--max-semi-space-size=1', '--v8-pool-size=1', '--no-maglev'];

/** Larger files get a process of their own, so that small ones do not wait for them, and their memory is given back at once. */
const largeBytes = 8 * 1024 * 1024;
/** A probe takes some 25 MB that are its own; starting one takes about 100 ms. */
const idleMsMax = 60_000;

export type ProbeDeadlines = { readonly loadMs: number; readonly trialMs: number };

const defaultDeadlines: ProbeDeadlines = { loadMs: 300_000, trialMs: 2_000 };

type OnLoaded = (loadMs: number) => void;

export type ProberDeps = { readonly clock: Clock; readonly probeUrl: URL };

export function createProber({ clock, probeUrl }: ProberDeps, deadlines: ProbeDeadlines = defaultDeadlines): Prober {
  const running = new Set<ChildProcess>();
  let standing: ChildProcess | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let cancelIdle = () => {};

  const start = (): ChildProcess => {
    const child = fork(probeUrl, {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      execArgv: lean,
    });
    running.add(child);
    child.once('exit', () => {
      running.delete(child);
      if (standing === child) standing = undefined;
    });
    child.unref();
    child.channel?.unref();
    return child;
  };

  const probeStanding = async (path: string, onLoaded: OnLoaded): Promise<Trial> => {
    cancelIdle();
    standing ??= start();
    try {
      return await ask(clock, deadlines, standing, path, onLoaded);
    } finally {
      const child = standing;
      cancelIdle = clock.after(idleMsMax, () => child?.kill('SIGKILL'));
    }
  };

  const probeAlone = async (path: string, onLoaded: OnLoaded): Promise<Trial> => {
    const child = start();
    giveWay(child);
    try {
      return await ask(clock, deadlines, child, path, onLoaded);
    } finally {
      child.kill('SIGKILL');
    }
  };

  return {
    probe(path, sizeBytes, onLoaded = () => {}) {
      if (sizeBytes > largeBytes) return probeAlone(path, onLoaded);
      // One file at a time, so that a crash has one cause.
      const result = turn.then(() => probeStanding(path, onLoaded));
      turn = result.catch(() => {});
      return result;
    },
    async close() {
      cancelIdle();
      const ended = [...running].map((child) => new Promise((resolve) => child.once('exit', resolve)));
      for (const child of running) {
        child.ref(); // or this process may end before it has seen that one end
        child.kill('SIGKILL');
      }
      await Promise.all(ended);
    },
  };
}

/** A long probe must not slow predictions down, and where memory runs out it is the probe that has to go. Both are but a wish. */
function giveWay({ pid }: ChildProcess) {
  if (pid === undefined) return;
  try {
    setPriority(pid, 10);
  } catch {
    // It has ended already, or this is not allowed here.
  }
  writeFile(`/proc/${pid}/oom_score_adj`, '1000').catch(() => {});
}

function ask(
  clock: Clock,
  deadlines: ProbeDeadlines,
  child: ChildProcess,
  path: string,
  onLoaded: OnLoaded,
): Promise<Trial> {
  return new Promise((resolve, reject) => {
    let loadMs: number | undefined;
    let isLate = false;
    const late = () => {
      isLate = true;
      child.kill('SIGKILL');
    };
    let cancel = clock.after(deadlines.loadMs, late);
    const settle = (act: () => void) => {
      cancel();
      child.off('message', onAnswer).off('exit', onExit).off('error', onError);
      child.channel?.unref();
      act();
    };
    const onAnswer = (answer: ProbeAnswer) => {
      switch (answer.kind) {
        case 'refused':
          return settle(() => reject(refusalOf(answer.code, answer.message)));
        case 'loaded':
          loadMs = answer.loadMs;
          cancel();
          cancel = clock.after(deadlines.trialMs, late);
          return onLoaded(loadMs);
        case 'tried': {
          const { timings, memoryBytes } = answer;
          return settle(() => resolve({ loadMs: loadMs ?? 0, timings, memoryBytes }));
        }
      }
    };
    const onExit = (_code: number | null, signal: NodeJS.Signals | null) =>
      settle(() => {
        // It loads, and is only slow to predict: no reason to refuse it, but it shall have a thread of its own.
        if (isLate && loadMs !== undefined) resolve({ loadMs, timings: [], memoryBytes: 0 });
        else reject(isLate ? tooSlow(deadlines.loadMs) : crashed(signal, loadMs !== undefined));
      });
    const onError = (error: Error) => settle(() => reject(error));
    child.on('message', onAnswer).once('exit', onExit).once('error', onError);
    child.channel?.ref();
    child.send({ path } satisfies ProbeQuestion);
  });
}

function refusalOf(code: string, message: string): Error {
  if (code === 'model/invalid') return corrupt(message);
  return code === 'model/unsupported' ? unsupported(message) : new Error(message);
}

function tooSlow(ms: number): ModelRefused {
  return unsupported(`ONNX Runtime has not loaded the file after ${ms / 1000} s`);
}

function crashed(signal: NodeJS.Signals | null, hasLoaded: boolean): ModelRefused {
  // Nobody but the kernel kills a probe this way: memory ran out.
  if (signal === 'SIGKILL') return noSpace('there is not enough memory to load the file');
  const how = signal === null ? '' : ` (${signal})`;
  return corrupt(
    hasLoaded
      ? `the file loads, but a prediction on zeros crashes ONNX Runtime${how}`
      : `the file crashes ONNX Runtime${how}, so it is not loaded here; it was tried in a process of its own`,
  );
}
