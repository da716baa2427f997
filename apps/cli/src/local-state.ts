import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '@roundhouse/base';
import { type ApiGroup, kserveGroup } from '@roundhouse/crds';
import { parse } from 'yaml';

/** What a running local cluster leaves in its data directory for the other commands. */
export type LocalState = { readonly pid: number; readonly routerUrl: string; readonly apiGroup: ApiGroup };

/** How to reach the cluster's API, from `<data-dir>/kubeconfig`. */
export type Connection = { readonly server: string; readonly token: string; readonly ca: string };

const fileName = 'up.json';

export function writeState(dataDirectory: string, state: LocalState): void {
  writeFileSync(join(dataDirectory, fileName), `${JSON.stringify(state)}\n`);
}

/** Remembers the router's address for the next start, and that nothing runs. */
export function endState(dataDirectory: string, routerUrl: string): void {
  writeFileSync(join(dataDirectory, fileName), `${JSON.stringify({ routerUrl })}\n`);
}

/** The port that the router had when a cluster last ran in `dataDirectory`. */
export function lastRouterPort(dataDirectory: string): number | undefined {
  try {
    const { routerUrl }: LocalState = JSON.parse(readFileSync(join(dataDirectory, fileName), 'utf8'));
    return Number(new URL(routerUrl).port);
  } catch {
    return undefined; // the first start
  }
}

/** The state of the cluster that runs in `dataDirectory`; throws `cli/not-running` when none does. */
export function readState(dataDirectory: string): LocalState {
  try {
    const stored: Partial<LocalState> & { readonly pid: number; readonly routerUrl: string } = JSON.parse(
      readFileSync(join(dataDirectory, fileName), 'utf8'),
    );
    const state = { apiGroup: kserveGroup, ...stored };
    if (!isOurs(state.pid)) throw new Error(`process ${state.pid} is gone`);
    return state;
  } catch (error) {
    const message = `no local cluster runs in ${dataDirectory}; start one with "npm start", or name its folder with --data-dir`;
    throw new CodedError('cli/not-running', message, { cause: error });
  }
}

/** Whether the process runs and is a `roundhouse up`: a number alone may have been given to another process since. */
function isOurs(pid: number): boolean {
  process.kill(pid, 0); // throws when there is none
  const { stdout, error } = spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' });
  return error !== undefined || / up( |$)/.test(stdout.trimEnd());
}

export function readConnection(dataDirectory: string): Connection {
  const config: {
    readonly clusters: readonly {
      readonly cluster: { readonly server: string; readonly 'certificate-authority-data': string };
    }[];
    readonly users: readonly { readonly user: { readonly token: string } }[];
  } = parse(readFileSync(join(dataDirectory, 'kubeconfig'), 'utf8'));
  const [cluster] = config.clusters;
  const [user] = config.users;
  if (cluster === undefined || user === undefined) {
    throw new CodedError(
      'cli/not-running',
      `${join(dataDirectory, 'kubeconfig')} names no cluster; start it again with "npm start"`,
    );
  }
  const { server, 'certificate-authority-data': ca } = cluster.cluster;
  return { server, token: user.user.token, ca: Buffer.from(ca, 'base64').toString() };
}
