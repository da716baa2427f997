import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

export type ProcessUse = {
  readonly pid: number;
  readonly parent: number;
  readonly cpuMs: number;
  readonly rssBytes: number;
};

/** CPU time (user and system) and resident memory of every process that can be seen. */
export async function processes(): Promise<ProcessUse[]> {
  return process.platform === 'linux' ? processesOfLinux() : processesOfPs();
}

/** `root` and all its descendants among `all`. */
export function treeOf(root: number, all: readonly ProcessUse[]): ProcessUse[] {
  const found = all.filter(({ pid }) => pid === root);
  for (const member of found)
    found.push(...all.filter(({ parent, pid }) => parent === member.pid && pid !== member.pid));
  return found;
}

/**
 * Memory of a tree, root first, with what its members share counted once: all that the root has resident, and of the others what
 * nobody shares (`Private` of proc_pid_smaps(5)). Where the system does not tell, all that they have resident.
 */
export function memoryOf([root, ...others]: readonly ProcessUse[]): number {
  return others.reduce((sum, { pid, rssBytes }) => sum + (privateBytes(pid) ?? rssBytes), root?.rssBytes ?? 0);
}

function privateBytes(pid: number): number | undefined {
  try {
    const parts = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8').matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm);
    return [...parts].reduce((sum, [, kibibytes]) => sum + Number(kibibytes) * 1024, 0);
  } catch {
    return undefined; // another system, another user's, or gone
  }
}

/** The kernel counts CPU time in ticks of 1/100 s (USER_HZ, the same on all architectures that Node.js runs on). */
const tickMs = 10;

/** The kernel's page size; 4 KiB on x64, and on arm64 as distributions build it. */
const pageBytes = 4096;

function processesOfLinux(): ProcessUse[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        return [parseStat(readFileSync(`/proc/${name}/stat`, 'utf8'))];
      } catch {
        return []; // gone since the listing
      }
    });
}

/** One line of `/proc/<pid>/stat` (proc(5)). The second field may hold spaces and brackets, so it is cut off at its end. */
export function parseStat(line: string): ProcessUse {
  const pid = Number.parseInt(line, 10);
  const fields = line
    .slice(line.lastIndexOf(')') + 2)
    .split(' ')
    .map(Number);
  const [parent = 0, utime = 0, stime = 0, pages = 0] = [fields[1], fields[11], fields[12], fields[21]];
  return { pid, parent, cpuMs: (utime + stime) * tickMs, rssBytes: pages * pageBytes };
}

async function processesOfPs(): Promise<ProcessUse[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,time=,rss='], {
    maxBuffer: 16 * 2 ** 20,
  });
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [pid, parent, time, rss] = line.trim().split(/\s+/);
      return {
        pid: Number(pid),
        parent: Number(parent),
        cpuMs: parseTimeMs(time ?? '0'),
        rssBytes: Number(rss) * 1024,
      };
    });
}

/** `[[dd-]hh:]mm:ss[.cc]`, as `ps` prints it, in milliseconds. */
export function parseTimeMs(text: string): number {
  const dash = text.indexOf('-');
  const days = dash < 0 ? 0 : Number(text.slice(0, dash));
  const seconds = text
    .slice(dash + 1)
    .split(':')
    .reduce((total, part) => total * 60 + Number(part), 0);
  return (days * 86_400 + seconds) * 1000;
}
