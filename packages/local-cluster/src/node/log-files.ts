import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import type { Clock } from '@roundhouse/base';
import { type Api, ApiError, type PodLogs } from '../api.ts';
import { type Pod, pods } from '../workloads/kinds.ts';

export type LogFiles = PodLogs & {
  /** Writes what a container's process prints, line by line with its time. Ends when all streams do. */
  record(owner: LogOwner, instance: number, streams: readonly Readable[]): void;
  /** The container will run no more: who follows its log has reached the end. */
  remove(uid: string): void;
};

export type LogOwner = { readonly uid: string; readonly container: string };

type Request = Parameters<PodLogs['read']>[0];
type Deps = { readonly api: Api; readonly clock: Clock; readonly directory: string };

/** Two files of this size per container's run, the older of which goes when the newer is full. */
const sizeBytesMax = 8 << 20;
/** Longer lines are cut, as the kubelet does. */
const lineCharactersMax = 16 << 10;
/** Lines that wait for a slow reader; with more than that it misses the oldest ones, and is told so. */
const queuedMax = 10_000;
const missing = '- (lines are missing here: they came faster than they were read)';

/** Somebody who follows a log: the lines that he has not read yet. */
type Follower = { readonly queue: string[]; ended: boolean; wake: () => void };

export function openLogFiles({ api, clock, directory }: Deps): LogFiles {
  /** By path of the file that is being written. */
  const followed = new Map<string, Set<Follower>>();

  return {
    record({ uid, container }, instance, streams) {
      const folder = join(directory, uid, container);
      mkdirSync(folder, { recursive: true });
      // Kept are this run's and that of the run before.
      for (const number of instancesIn(folder).filter((one) => one < instance - 1)) {
        for (const file of filesOf(folder, number)) rmSync(file, { force: true });
      }
      const path = join(folder, `${instance}.log`);
      const followers = new Set<Follower>();
      const writer = openWriter(path);
      followed.set(path, followers);
      const onLine = (text: string) => {
        const line = `${new Date(clock.now()).toISOString()} ${text}`;
        writer.write(line);
        for (const follower of followers) follow(follower, line);
      };
      let open = streams.length;
      const onEnd = () => {
        if (--open > 0) return;
        writer.close();
        followed.delete(path);
        for (const follower of followers) end(follower);
      };
      for (const stream of streams) eachLine(stream, onLine, onEnd);
    },
    remove: (uid) => rmSync(join(directory, uid), { recursive: true, force: true }),
    read(request, signal) {
      const { follow, previous, pod, container } = request;
      const folder = join(directory, uidOf(api, request), container);
      const instance = (instancesIn(folder).at(-1) ?? -1) - (previous ? 1 : 0);
      const path = join(folder, `${instance}.log`);
      if (!existsSync(path)) {
        const which = previous ? `previous terminated container "${container}"` : `container "${container}"`;
        throw badRequest(`${which} in pod "${pod}" ${previous ? 'not found' : 'is waiting to start'}`);
      }
      const stored = () => {
        const files = filesOf(folder, instance).filter((file) => existsSync(file));
        const lines = files.flatMap((file) => readFileSync(file, 'utf8').split('\n').slice(0, -1));
        return selectLines(lines, request, clock.now());
      };
      return readLines(stored, follow ? followed.get(path) : undefined, request, signal);
    },
  };
}

function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

function uidOf(api: Api, { namespace, pod: name, container }: Request): string {
  const pod = api.get(pods, namespace, name) as Pod | undefined;
  if (pod === undefined) throw new ApiError(404, 'NotFound', `pods "${name}" not found`);
  if (pod.spec.containers.some((one) => one.name === container)) return pod.metadata.uid ?? '';
  throw badRequest(`container ${container} is not valid for pod ${name}`);
}

function instancesIn(folder: string): number[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).filter((name) => name.endsWith('.log'));
  return names.map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b);
}

/** The files of one run of a container, older lines first. */
function filesOf(folder: string, instance: number): string[] {
  return [join(folder, `${instance}.log.old`), join(folder, `${instance}.log`)];
}

function selectLines(lines: readonly string[], { sinceSeconds, tailLines }: Request, now: number): readonly string[] {
  const since = sinceSeconds === undefined ? '' : new Date(now - sinceSeconds * 1000).toISOString();
  const recent = lines.filter((line) => line >= since);
  return tailLines === undefined ? recent : recent.slice(Math.max(0, recent.length - tailLines));
}

function follow(follower: Follower, line: string): void {
  if (follower.queue.push(line) > queuedMax) follower.queue.splice(0, queuedMax, missing);
  follower.wake();
}

function end(follower: Follower): void {
  follower.ended = true;
  follower.wake();
}

/** Nothing is missed in between: the reader follows from the moment in which it looks at what is stored. */
async function* readLines(
  stored: () => readonly string[],
  followers: Set<Follower> | undefined,
  { timestamps }: Request,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const show = (line: string) => (timestamps ? line : line.slice(line.indexOf(' ') + 1));
  const follower: Follower = { queue: [], ended: followers === undefined, wake: () => {} };
  const onAbort = () => end(follower);
  followers?.add(follower);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for (const line of stored()) yield show(line);
    while (!signal.aborted && (follower.queue.length > 0 || !follower.ended)) {
      for (const line of follower.queue.splice(0)) yield show(line);
      if (follower.queue.length > 0 || follower.ended) continue;
      await new Promise<void>((resolve) => {
        follower.wake = resolve;
      });
    }
  } finally {
    followers?.delete(follower);
    signal.removeEventListener('abort', onAbort);
  }
}

function openWriter(path: string) {
  let file = openSync(path, 'a', 0o600);
  let sizeBytes = 0;
  return {
    write(line: string) {
      sizeBytes += writeSync(file, `${line}\n`);
      if (sizeBytes < sizeBytesMax) return;
      closeSync(file);
      renameSync(path, `${path}.old`);
      file = openSync(path, 'a', 0o600);
      sizeBytes = 0;
    },
    close: () => closeSync(file),
  };
}

function eachLine(stream: Readable, onLine: (line: string) => void, onEnd: () => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) onLine(line);
    for (; rest.length > lineCharactersMax; rest = rest.slice(lineCharactersMax))
      onLine(rest.slice(0, lineCharactersMax));
  });
  stream.on('error', () => {}); // it closes next
  stream.on('close', () => {
    if (rest !== '') onLine(rest);
    onEnd();
  });
}
