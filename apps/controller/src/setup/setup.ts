import type { Clock } from '@roundhouse/base';
import { openKube } from '@roundhouse/kube';
import type { Config } from '../config.ts';
import { applyCrds } from './apply-crds.ts';
import type { SetupCommand } from './commands.ts';
import { releaseModels } from './release-models.ts';

/** Returns lines that say what was done. */
export async function runSetup(
  { clock }: { readonly clock: Clock },
  command: SetupCommand,
  config: Config,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const kube = await openKube({ kubeconfigPath: config.kubeconfig });
  try {
    if (command === 'apply-crds') return await applyCrds(kube, signal);
    const { installation, namespaces } = config;
    const released = await releaseModels({ kube, clock }, { namespace: installation.namespace, namespaces }, signal);
    return [`the finalizer is taken off ${released} TrainedModels`];
  } finally {
    await kube.close();
  }
}
