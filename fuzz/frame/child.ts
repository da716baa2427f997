import { openSync, readFileSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { messageOf } from '@roundhouse/base';
import { openSession, type Session } from './session.ts';
import { groupNamed, targetsNamed } from './targets.ts';

/**
 * Runs inputs in a process of its own, which a watcher can end, and whose death tells something. Before each input it writes the
 * number of the run and the input to a file, so that nothing that happens loses them.
 */

/** An input that takes more of the processor is a finding: it is at most 64 KiB. The watcher notices one that waits for ever. */
const runMsMax = 5_000;
const residentBytesMax = 1.5 * 2 ** 30;

const { values } = parseArgs({
  options: {
    name: { type: 'string' },
    seed: { type: 'string' },
    seconds: { type: 'string' },
    trace: { type: 'string' },
    replay: { type: 'string' },
  },
});
// Holds the process: what a target waits for may not.
setInterval(() => {}, 60_000);
const targets = await targetsNamed(values.name ?? '');
await (await groupNamed(values.name!.split('/')[0]!)).prepare?.();

if (values.replay !== undefined) {
  const input = new Uint8Array(readFileSync(values.replay));
  for (const target of targets) console.log(`${target.name}: ${await target.run(input)}`);
} else {
  await fuzz(Number(values.seed), Number(values.seconds), values.trace ?? '');
}
process.exit();

async function fuzz(seed: number, seconds: number, trace: string) {
  const file = openSync(trace, 'w');
  const sessions = targets.map((target) => {
    const before = (input: Uint8Array) => {
      const head = Buffer.alloc(8);
      head.writeUInt32LE(sessions.reduce((sum, { session }) => sum + session.runs, 0));
      head.writeUInt32LE(input.length, 4);
      writeSync(file, Buffer.concat([head, Buffer.from(target.name.padEnd(64)), input]), 0, undefined, 0);
    };
    return { name: target.name, session: openSession(target, seed, before) };
  });
  const endMs = performance.now() + seconds * 1_000;
  while (performance.now() < endMs) for (const { name, session } of sessions) await step(name, session);
  for (const { name, session } of sessions) console.log(summary(name, session));
}

async function step(name: string, session: Session) {
  const began = process.cpuUsage();
  try {
    await session.step();
    const { user, system } = process.cpuUsage(began);
    const tookMs = (user + system) / 1_000;
    if (tookMs > runMsMax) throw new Error(`the input took ${Math.round(tookMs)} ms`);
    const resident = session.runs % 16 === 0 ? process.memoryUsage.rss() : 0;
    if (resident > residentBytesMax) throw new Error(`the process has grown to ${Math.round(resident / 2 ** 20)} MiB`);
  } catch (error) {
    console.error(`${name}, run ${session.runs}: ${error instanceof Error ? error.stack : messageOf(error)}`);
    process.exit(1);
  }
}

function summary(name: string, { runs, outcomes }: Session): string {
  const common = [...outcomes].sort(([, a], [, b]) => b - a).slice(0, 3);
  const shown = common.map(([outcome, count]) => `${Math.round((100 * count) / runs)} % ${outcome}`).join('; ');
  return `${name}: ${runs} inputs, ${outcomes.size} outcomes (${shown})`;
}
