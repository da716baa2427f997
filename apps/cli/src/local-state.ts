import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '@roundhouse/base';
import { parse } from 'yaml';

/** What a running local cluster leaves in its data directory for the other commands. */
export type LocalState = { readonly pid: number; readonly routerUrl: string };

/** How to reach the cluster's API, from `<data-dir>/kubeconfig`. */
export type Connection = { readonly server: string; readonly token: string; readonly ca: string };

const fileName = 'up.json';

export function writeState(dataDirectory: string, state: LocalState): void {
  writeFileSync(join(dataDirectory, fileName), `${JSON.stringify(state)}\n`);
}

export function removeState(dataDirectory: string): void {
  rmSync(join(dataDirectory, fileName), { force: true });
}

/** The state of the cluster that runs in `dataDirectory`; throws `cli/not-running` when none does. */
export function readState(dataDirectory: string): LocalState {
  try {
    const state: LocalState = JSON.parse(readFileSync(join(dataDirectory, fileName), 'utf8'));
    process.kill(state.pid, 0); // throws when the process is gone
    return state;
  } catch (error) {
    const message = `no local cluster runs in ${dataDirectory}; start one with "npm start", or name its folder with --data-dir`;
    throw new CodedError('cli/not-running', message, { cause: error });
  }
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
