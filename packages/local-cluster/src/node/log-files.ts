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
import { allContainers, type Pod, pods } from '../workloads/kinds.ts';

export type LogFiles = PodLogs & {
  /** Writes what a container's process prints, line by line with its time. Ends when both streams do. */
  record(owner: LogOwner, instance: number, streams: readonly Readable[]): void;
  /** The container will run no more: who follows its log has reached the end. */
  remove(uid: string): void;
};

export type LogOwner = { readonly uid: string; readonly container: string };

/** Two files of this size per container's run, the older of which goes when the newer is full. */
const sizeBytesMax = 8 << 20;
/** Longer lines are cut, as the kubelet does. */
const lineCharactersMax = 16 << 10;
/** Lines that wait for a slow reader; with more than that it misses the oldest ones, and is told so. */
const queuedMax = 10_000;

type Follower = { line(text: string): void; end(): void };

export function openLogFiles({
  api,
  clock,
  directory,
}: {
  readonly api: Api;
  readonly clock: Clock;
  readonly directory: string;
}): LogFiles {
  /** By path of the file that is being written. */
  const followers = new Map<string, Set<Follower>>();
  const folderOf = ({ uid, container }: LogOwner) => join(directory, uid, container);

  return {
    record(owner, instance, streams) {
      const folder = folderOf(owner);
      mkdirSync(folder, { recursive: true });
      for (const number of instancesIn(folder)) {
        if (number >= instance - 1) continue;
        for (const file of filesOf(folder, number)) rmSync(file, { force: true });
      }
      const path = join(folder, `${instance}.log`);
      const own = new Set<Follower>();
      followers.set(path, own);
      const writer = openWriter(path);
      let open = streams.length;
      for (const stream of streams) {
        eachLine(
          stream,
          (text) => {
            const line = `${new Date(clock.now()).toISOString()} ${text}`;
            writer.write(line);
            for (const follower of own) follower.line(line);
          },
          () => {
            if (--open > 0) return;
            writer.close();
            followers.delete(path);
            for (const follower of own) follower.end();
          },
        );
      }
    },
    remove: (uid) => rmSync(join(directory, uid), { recursive: true, force: true }),
    read(request, signal) {
      const folder = folderOf(ownerOf(api, request));
      const latest = instancesIn(folder).at(-1);
      const wanted = latest !== undefined && request.previous ? latest - 1 : latest;
      if (wanted === undefined || !existsSync(join(folder, `${wanted}.log`))) {
        const { previous, container, pod } = request;
        const message = previous
          ? `previous terminated container "${container}" in pod "${pod}" not found`
          : `container "${container}" in pod "${pod}" is waiting to start`;
        throw new ApiError(400, 'BadRequest', message);
      }
      const stored = filesOf(folder, wanted).flatMap((file) =>
        existsSync(file) ? readFileSync(file, 'utf8').split('\n').slice(0, -1) : [],
      );
      const own = request.follow ? followers.get(join(folder, `${wanted}.log`)) : undefined;
      return readLines(selectLines(stored, request, clock.now()), own, request.timestamps, signal);
    },
  };
}

type Request = Parameters<PodLogs['read']>[0];

function ownerOf(api: Api, { namespace, pod: name, container }: Request): LogOwner {
  const pod = api.get(pods, namespace, name) as Pod | undefined;
  if (pod === undefined) throw new ApiError(404, 'NotFound', `pods "${name}" not found`);
  if (!allContainers(pod.spec).some((one) => one.name === container)) {
    throw new ApiError(400, 'BadRequest', `container ${container} is not valid for pod ${name}`);
  }
  return { uid: pod.metadata.uid ?? '', container };
}

function instancesIn(folder: string): number[] {
  if (!existsSync(folder)) return [];
  const numbers = readdirSync(folder).flatMap((name) => (name.endsWith('.log') ? [Number.parseInt(name, 10)] : []));
  return numbers.sort((a, b) => a - b);
}

/** The files of one run of a container, older lines first. */
function filesOf(folder: string, instance: number): string[] {
  return [join(folder, `${instance}.log.old`), join(folder, `${instance}.log`)];
}

function selectLines(lines: readonly string[], { sinceSeconds, tailLines }: Request, now: number): readonly string[] {
  const since = sinceSeconds === undefined ? '' : new Date(now - sinceSeconds * 1000).toISOString();
  const recent = since === '' ? lines : lines.filter((line) => line >= since);
  return tailLines === undefined ? recent : recent.slice(Math.max(0, recent.length - tailLines));
}

async function* readLines(
  stored: readonly string[],
  followers: Set<Follower> | undefined,
  timestamps: boolean,
  signal: AbortSignal,
): AsyncGenerator<string> {
  const show = (line: string) => (timestamps ? line : line.slice(line.indexOf(' ') + 1));
  if (followers === undefined) {
    for (const line of stored) yield show(line);
    return;
  }
  const queue = [...stored];
  let ended = false;
  let wake = Promise.withResolvers<void>();
  const follower: Follower = {
    line(text) {
      if (queue.push(text) > queuedMax + stored.length) {
        queue.splice(0, queuedMax, '- (lines are missing here: they came faster than they were read)');
      }
      wake.resolve();
    },
    end() {
      ended = true;
      wake.resolve();
    },
  };
  const onAbort = () => follower.end();
  followers.add(follower);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    while (!signal.aborted) {
      const batch = queue.splice(0);
      for (const line of batch) yield show(line);
      if (batch.length > 0) continue;
      if (ended) return;
      await wake.promise;
      wake = Promise.withResolvers<void>();
    }
  } finally {
    followers.delete(follower);
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
    while (rest.length > lineCharactersMax) {
      onLine(rest.slice(0, lineCharactersMax));
      rest = rest.slice(lineCharactersMax);
    }
  });
  stream.on('error', () => {}); // it closes next
  stream.on('close', () => {
    if (rest !== '') onLine(rest);
    onEnd();
  });
}
