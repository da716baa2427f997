import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { groupNamed, groupNames, targetsNamed } from './frame/targets.ts';

const usage = `Usage: npm run fuzz -- NAME[/TARGET] [--seconds N] [--seed N]
       npm run fuzz -- NAME/TARGET --replay FILE
       npm run fuzz -- --list

Feeds damaged input to what reads bytes from outside, for 60 seconds unless told otherwise. A crash, a hang, an input that takes
long, memory without bound or a broken promise ends the run with status 1; the seed and the input are shown, to try again.`;

/** The child says every 5 s at the latest that it goes on, or it hangs. */
const stillMsMax = 20_000;
/** A heap that is enough for any input of 64 KiB, so that one that asks for more is noticed. */
const heapMiB = 512;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string' },
    replay: { type: 'string' },
    list: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  },
});
const [name] = positionals;

if (values.list) {
  for (const each of groupNames) {
    const { summary, needs, targets } = await groupNamed(each);
    const takes = needs === undefined ? '' : `; takes ${needs}`;
    console.log(`${each.padEnd(14)} ${summary}${takes} (${targets.map((target) => target.name).join(', ')})`);
  }
} else if (values.help || name === undefined) {
  console.log(`${usage}\n\nNames: ${groupNames.join(', ')}`);
  process.exitCode = values.help ? 0 : 2;
} else if ((await targetsNamed(name)).length === 0) {
  console.error(`There is nothing named "${name}" to fuzz; "npm run fuzz -- --list" names what there is.`);
  process.exitCode = 2;
} else {
  process.exitCode = values.replay === undefined ? await fuzz(name) : await child(name, ['--replay', values.replay]);
}

async function fuzz(target: string): Promise<number> {
  const seed = values.seed ?? String(Date.now() % 2 ** 31);
  if (!/^\d{1,10}$/.test(seed) || !(Number(values.seconds) > 0)) {
    console.error('--seed takes a whole number, --seconds a positive one.');
    return 2;
  }
  const directory = mkdtempSync(join(tmpdir(), 'roundhouse-fuzz-'));
  const trace = join(directory, 'trace');
  writeFileSync(trace, '');
  console.log(`${target}: seed ${seed}, ${values.seconds} s`);
  const status = await child(target, ['--seed', seed, '--seconds', values.seconds, '--trace', trace], trace);
  if (status !== 0) report(target, seed, trace);
  rmSync(directory, { recursive: true, force: true });
  return status === 0 ? 0 : 1;
}

/** Resolves to the exit status; a signal or a hang is 1. */
function child(target: string, args: readonly string[], trace?: string): Promise<number> {
  const script = join(import.meta.dirname, 'frame/child.ts');
  const running = spawn(process.execPath, [`--max-old-space-size=${heapMiB}`, script, '--name', target, ...args], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  let [seen, seenMs] = [-1, performance.now()];
  const watch = setInterval(() => {
    const bytes = trace === undefined ? Buffer.alloc(0) : readFileSync(trace);
    const runs = bytes.length < 8 ? 0 : bytes.readUInt32LE();
    if (trace === undefined || runs !== seen) [seen, seenMs] = [runs, performance.now()];
    if (performance.now() - seenMs < stillMsMax) return;
    console.error(`Run ${runs} hangs: nothing has come of it for ${stillMsMax / 1_000} s.`);
    running.kill('SIGKILL');
  }, 1_000);
  process.once('SIGINT', () => running.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    running.once('error', reject);
    running.once('exit', (status, signal) => {
      clearInterval(watch);
      if (signal !== null) console.error(`The process ended by ${signal}.`);
      resolve(status ?? 1);
    });
  });
}

function report(target: string, seed: string, trace: string) {
  const bytes = readFileSync(trace);
  if (bytes.length < 72) return;
  const at = bytes.toString('latin1', 8, 72).trim();
  const kept = join(tmpdir(), `roundhouse-fuzz-${at}-${seed}`);
  writeFileSync(kept, bytes.subarray(72, 72 + bytes.readUInt32LE(4)));
  const group = target.split('/')[0];
  console.error(
    `Again: npm run fuzz -- ${group}/${at} --replay ${kept}\nAll of it: npm run fuzz -- ${target} --seed ${seed}`,
  );
}
