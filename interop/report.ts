import type { ClientAnswer } from './clients.ts';
import type { LoadTime } from './loading.ts';
import type { Protocol } from './servers.ts';

export type StepResult = {
  readonly title: string;
  readonly protocol: Protocol | undefined;
  /** Undefined: it passed. */
  readonly problem: string | undefined;
  readonly note: string | undefined;
};

export type ServerResult = {
  readonly name: string;
  readonly title: string;
  readonly date: string;
  readonly note: string | undefined;
  readonly protocols: readonly Protocol[];
  readonly frameworks: readonly string[];
  readonly steps: readonly StepResult[];
  readonly clients: readonly ClientAnswer[];
  readonly loading: readonly LoadTime[];
};

export type Results = {
  readonly machine: string;
  readonly servers: readonly ServerResult[];
};

/** docs/compatibility.md. */
export function renderPage({ machine, servers }: Results): string {
  return `# Compatibility

Written by \`npm run interop -- --write\` from what it saw; do not edit. Each server is the real one, behind our agent and router in
the local cluster, chosen by its shipped ClusterServingRuntime ([deploy/runtimes](../deploy/runtimes)); the pinned packages are in
[interop/environments](../interop/environments). KServe's rows are its own server, repository and protocols with a small model class of
ours, since those of KServe are not on PyPI. ✓ passed, ✗ failed (the reason is below), – not spoken by the server.

${legend(servers)}

## Steps

${stepTable(servers)}

While models come and go, change, fail or move to more replicas, two clients ask all models all the time, and no request may fail; where
a process is killed, only those that were in flight in it. ${notes(servers)}

## Clients

Through the router: HTTP by the service's host (tritonclient by the path prefix), gRPC by its authority.

${clientTable(servers)}

## Time to load

From the first of so many applied TrainedModels to the last one Ready, one replica, files on the same disk. ${machine}

${loadingTable(servers)}

${servers
  .filter(({ note }) => note !== undefined)
  .map(({ name, note }) => `- ${name}: ${note}.`)
  .join('\n')}

## What does not work

${failures(servers)}
`;
}

/** The same for a terminal. */
export function renderText(results: Results): string {
  const { servers } = results;
  const head = servers.map(({ name, title }) => `${name}: ${title}`).join('\n');
  const tables = [stepTable(servers), clientTable(servers), loadingTable(servers)];
  return [head, ...tables, failures(servers)].filter((part) => part !== '').join('\n\n');
}

const short = (name: string) => name.replace(/^kserve-/, '').replace('roundhouse-model-server', 'roundhouse');

function legend(servers: readonly ServerResult[]): string {
  const rows = servers.map(({ name, title, frameworks, protocols, date }) => [
    `\`${name}\``,
    title,
    frameworks.join(', '),
    protocols.join(', '),
    date,
  ]);
  return table(['runtime', 'server', 'models', 'protocols', 'seen'], rows);
}

const mark = (problem: string | undefined) => (problem === undefined ? '✓' : '✗');

function stepTable(servers: readonly ServerResult[]): string {
  const titles = unique(servers.flatMap(({ steps }) => steps.map(({ title }) => title)));
  const rows = titles.map((title) => [
    title,
    ...servers.map(({ steps }) => {
      const mine = steps.filter((step) => step.title === title);
      if (mine.length === 0) return ' ';
      return mine
        .map(({ protocol, problem }) => `${protocol === undefined ? '' : `${protocol} `}${mark(problem)}`)
        .join(', ');
    }),
  ]);
  return table(['step', ...servers.map(({ name }) => short(name))], rows);
}

function clientTable(servers: readonly ServerResult[]): string {
  const ways = unique(servers.flatMap(({ clients }) => clients.map(({ way }) => way)));
  const rows = ways.map((way) => [
    way,
    ...servers.map(({ clients }) => {
      const mine = clients.find((client) => client.way === way);
      return mine === undefined ? '–' : mark(mine.problem);
    }),
  ]);
  return table(['client', ...servers.map(({ name }) => short(name))], rows);
}

function loadingTable(servers: readonly ServerResult[]): string {
  const sizes = unique(servers.flatMap(({ loading }) => loading.map(({ models }) => models)));
  const rows = sizes
    .toSorted((a, b) => a - b)
    .map((size) => [
      `${size.toLocaleString('en-US')} ${size === 1 ? 'model' : 'models'}`,
      ...servers.map(({ loading }) => {
        const time = loading.find(({ models }) => models === size);
        return time === undefined ? 'not run' : `${(time.ms / 1000).toFixed(2)} s`;
      }),
    ]);
  return table(['applied at once', ...servers.map(({ name }) => short(name))], rows);
}

function notes(servers: readonly ServerResult[]): string {
  const said = servers.flatMap(({ name, steps }) =>
    steps
      .filter(({ title, note }) => /corrupt model says/.test(title) && note !== undefined)
      .map(({ note = '' }) => `\n- ${short(name)} on the corrupt model: ${oneLine(note)}`),
  );
  return said.length === 0 ? '' : `What people read of a model that does not load:\n${said.join('')}`;
}

function failures(servers: readonly ServerResult[]): string {
  const lines = servers.flatMap(({ name, steps, clients }) => [
    ...steps
      .filter(({ problem }) => problem !== undefined)
      .map(
        ({ title, protocol, problem }) => `- ${name}: ${title}${protocol ? ` ${protocol}` : ''}: ${oneLine(problem)}`,
      ),
    ...clients
      .filter(({ problem }) => problem !== undefined)
      .map(({ way, problem }) => `- ${name}: ${way}: ${oneLine(problem)}`),
  ]);
  return lines.length === 0 ? 'Nothing that was tried.' : lines.join('\n');
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((_, index) => Math.max(...[head, ...rows].map((row) => (row[index] ?? '').length)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join(' | ')} |`;
  return [line(head), `|${widths.map((width) => '-'.repeat(width + 2)).join('|')}|`, ...rows.map(line)].join('\n');
}

const oneLine = (text = '') => text.replaceAll(/\s+/g, ' ').trim();

const unique = <T>(items: readonly T[]): T[] => [...new Set(items)];
