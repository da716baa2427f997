import { relative } from 'node:path';
import { clusterKubectl } from './cluster-world.ts';
import { readInstalled } from './installation.ts';
import { run } from './run.ts';
import { checkout } from './world.ts';

/** The part of Vitest's JSON report that we read. */
export type TestResults = {
  readonly startTime: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly assertionResults: readonly {
      readonly fullName: string;
      readonly status: string;
      readonly duration?: number;
      readonly meta?: { readonly figures?: readonly string[] };
    }[];
  }[];
};

const hasPassed = ({ assertionResults }: TestResults['testResults'][number]) =>
  assertionResults.some(({ status }) => status === 'passed');

/** A page about a run in which everything passed. */
export async function summaryOf(results: TestResults, target: string, file: string): Promise<string> {
  const { kubeconfig, phases } = readInstalled();
  const kubectl = await clusterKubectl(kubeconfig);
  const { serverVersion }: { serverVersion: { gitVersion: string } } = JSON.parse(
    await kubectl(['version', '-o', 'json']),
  );
  const nodes = (await kubectl(['get', 'nodes', '-o', 'name'])).trim().split('\n').length;
  const revision = (await run('git', ['-C', checkout, 'rev-parse', '--short=12', 'HEAD'])).trim();
  const rows = results.testResults
    .filter(hasPassed)
    .flatMap(({ name, assertionResults }) => [
      `| **${relative(checkout, name)}** | |`,
      ...assertionResults
        .filter(({ status }) => status === 'passed')
        .map(({ fullName, duration = 0 }) => `| ${fullName.trim()} | ${(duration / 1000).toFixed(1)} s |`),
    ]);
  const figures = results.testResults.flatMap(({ assertionResults }) =>
    assertionResults.flatMap(({ meta }) => meta?.figures ?? []),
  );
  const total = Object.values(phases).reduce((sum, seconds) => sum + seconds, 0);
  const { E2E_MODELS } = process.env;
  const command = `${E2E_MODELS === undefined ? '' : `E2E_MODELS=${E2E_MODELS} `}npm run e2e -- --summary ${file}`;
  return [
    '# The scenarios on a real cluster',
    '',
    `Written by \`${command}\`: ${new Date(results.startTime).toISOString().slice(0, 16)}Z, commit ${revision},`,
    `target ${target}, Kubernetes ${serverVersion.gitVersion} with ${nodes} nodes. Every scenario passed.`,
    '',
    '## From `helm install` to the first prediction',
    '',
    'On an empty cluster that has the images.',
    '',
    '| phase | seconds |',
    '|---|---|',
    ...Object.entries(phases).map(([phase, seconds]) => `| ${phase} | ${seconds.toFixed(1)} |`),
    `| **all** | **${total.toFixed(1)}** |`,
    '',
    ...(figures.length === 0 ? [] : ['## Figures', '', ...figures.map((figure) => `- ${figure}`), '']),
    '## Scenarios',
    '',
    '| scenario | took |',
    '|---|---|',
    ...rows,
    '',
  ].join('\n');
}
