import type { Clock, Random } from '@roundhouse/base';
import { openKube, runAsLeader } from '@roundhouse/kube';
import type { Log } from '@roundhouse/telemetry';
import type { Fleet } from './assignments/fleet.ts';
import type { Config } from './config.ts';
import { createMetrics } from './http/metrics.ts';
import { serveHealth, serveMetrics, serveReadApi } from './http/surfaces.ts';
import { lead } from './term.ts';

export type ControllerDeps = { readonly clock: Clock; readonly random: Random; readonly log: Log };

/**
 * Runs until `signal` aborts, or until another controller leads: then it ends, to be restarted with a clean slate. Resolves
 * with the exit status.
 */
export async function runController(deps: ControllerDeps, config: Config, signal: AbortSignal): Promise<number> {
  const { log } = deps;
  const kube = await openKube({ kubeconfigPath: config.kubeconfig });
  let fleet: Fleet | undefined;
  const metrics = createMetrics(() => fleet);
  const { host } = config;
  const surfaces = await Promise.all([
    // Standing by is a job too: a controller that does not lead is ready to.
    serveHealth({ host, port: config.healthPort }, { alive: () => true, ready: () => true }),
    serveMetrics({ host, port: config.metricsPort }, metrics.render),
    serveReadApi({ host, port: config.apiPort }, () => fleet),
  ]);
  try {
    const { lost } = await runAsLeader(
      { ...deps, kube, onTrouble: (message) => log.warn({}, message) },
      { namespace: config.installation.namespace, name: 'roundhouse-controller', identity: config.identity },
      (epoch, term) => lead({ ...deps, kube, metrics, onFleet: (own) => (fleet = own) }, config, epoch, term),
      signal,
    );
    if (lost) log.error({}, 'the Lease is lost: another controller leads');
    return lost ? 1 : 0;
  } finally {
    await Promise.all(surfaces.map((surface) => surface.close()));
    await kube.close();
  }
}
