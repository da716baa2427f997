import { availableParallelism, cpus, release, totalmem, type } from 'node:os';
import { type Result, round } from './runner.ts';

export type Environment = {
  readonly date: string;
  readonly machine: string;
  readonly versions: Readonly<Record<string, string>>;
};

export function environment(date: Date, versions: Readonly<Record<string, string>>): Environment {
  const memoryGiB = Math.round(totalmem() / 2 ** 30);
  const machine = `${availableParallelism()} cores (${cpus()[0]?.model.trim() ?? 'unknown'}), ${memoryGiB} GiB, ${type()} ${release()}`;
  return { date: date.toISOString().slice(0, 10), machine, versions: { node: process.versions.node, ...versions } };
}

/** The report for people: a Markdown table that can go into docs/benchmarks.md as it is. */
export function renderReport(name: string, result: Result, { date, machine, versions }: Environment): string {
  const named = Object.entries(versions).map(([part, version]) => `${part} ${version}`);
  const lines = [`### ${name} (${date})`, '', `${machine}; ${named.join(', ')}.`, ''];
  lines.push(
    '| shape | metric | subject | median | q1 to q3 | best | p99 | samples |',
    '|---|---|---|---|---|---|---|---|',
  );
  for (const row of result.rows) {
    const cells = [
      row.shape,
      row.metric,
      row.subject,
      `${round(row.median)} ${row.unit}`,
      `${round(row.q1)} to ${round(row.q3)}`,
    ];
    lines.push(`| ${[...cells, round(row.best), round(row.p99), row.samples].join(' | ')} |`);
  }
  if (result.ratios.length > 0) lines.push('', '| shape | metric | ratio | median |', '|---|---|---|---|');
  for (const { subject, against, shape, metric, median } of result.ratios) {
    lines.push(`| ${shape} | ${metric} | ${subject} / ${against} | ${round(median)} |`);
  }
  for (const { subject, reason } of result.skipped) lines.push('', `Skipped: ${subject} (${reason}).`);
  if (result.unchecked.length > 0) lines.push('', `Not checked: ${result.unchecked.join('; ')}.`);
  for (const broken of result.broken) lines.push('', `**Over its bound**: ${broken}.`);
  return lines.join('\n');
}
