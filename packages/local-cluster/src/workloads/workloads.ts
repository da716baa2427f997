import { deploymentReconciler } from './deployment.ts';
import { endpointsReconciler } from './endpoints.ts';
import type { ReconcilerDeps } from './reconciler.ts';
import { startReconciler } from './reconciler.ts';
import { replicaSetReconciler, type WorkloadDeps } from './replica-set.ts';

/** Runs the controllers of Deployments, ReplicaSets and the endpoints of Services until closed. */
export function startWorkloads(deps: WorkloadDeps & ReconcilerDeps): { close(): void } {
  const reconcilers = [deploymentReconciler(deps), replicaSetReconciler(deps), endpointsReconciler(deps.api)];
  const ends = reconcilers.map((reconciler) => startReconciler(deps, reconciler));
  return {
    close() {
      for (const end of ends) end();
    },
  };
}
