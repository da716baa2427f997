import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Benchmark } from './frame/benchmark.ts';
import { only } from './frame/only.ts';
import { environment, renderReport } from './frame/report.ts';
import { runBenchmark } from './frame/runner.ts';

const usage = `Usage: npm run bench -- NAME [--json] [--rounds N] [--shapes A,B] [--subjects A,B]
       npm run bench -- --list

Measures Roundhouse side by side with its peers and prints medians, quartiles, the best round and ratios.
Exits with 1 when a figure that we promise is missed. With --shapes or --subjects only those are measured, and only what they
promise is checked.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean' },
    list: { type: 'boolean' },
    rounds: { type: 'string' },
    shapes: { type: 'string' },
    subjects: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
});

const names = readdirSync(import.meta.dirname).filter((name) =>
  existsSync(join(import.meta.dirname, name, 'bench.ts')),
);
const [name] = positionals;

if (values.list) {
  for (const each of names) console.log(`${each.padEnd(14)} ${(await benchmarkNamed(each)).summary}`);
} else if (values.help || name === undefined) {
  console.log(`${usage}\n\nBenchmarks: ${names.join(', ')}`);
  process.exitCode = values.help ? 0 : 2;
} else if (!names.includes(name)) {
  console.error(`There is no benchmark "${name}"; there are ${names.join(', ')}.`);
  process.exitCode = 2;
} else {
  const whole = await benchmarkNamed(name);
  await measure(only(whole, values.shapes?.split(','), values.subjects?.split(',')));
}

async function benchmarkNamed(each: string): Promise<Benchmark> {
  const module: { benchmark: Benchmark } = await import(join(import.meta.dirname, each, 'bench.ts'));
  return module.benchmark;
}

async function measure(benchmark: Benchmark): Promise<void> {
  const interrupted = new AbortController();
  process.once('SIGINT', () => interrupted.abort(new Error('interrupted')));
  const rounds = values.rounds === undefined ? benchmark.rounds : Number.parseInt(values.rounds, 10);
  if (!(rounds >= 1)) throw new Error(`--rounds takes a positive number, not "${values.rounds}"`);
  const context = { say: (line: string) => console.error(`${benchmark.name}: ${line}`), signal: interrupted.signal };
  const result = await runBenchmark(benchmark, rounds, context);
  const where = environment(new Date(), (await benchmark.versions?.()) ?? {});
  console.log(
    values.json
      ? JSON.stringify({ name: benchmark.name, ...where, ...result })
      : renderReport(benchmark.name, result, where),
  );
  if (result.broken.length > 0) process.exitCode = 1;
}
