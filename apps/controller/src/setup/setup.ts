import type { Clock } from '@roundhouse/base';
import { namesFor } from '@roundhouse/crds';
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
  const names = namesFor(config.apiGroup);
  const kube = await openKube({ kubeconfigPath: config.kubeconfig });
  try {
    if (command === 'apply-crds') return await applyCrds(kube, names, signal);
    const { installation, namespaces } = config;
    const request = { namespace: installation.namespace, namespaces };
    const released = await releaseModels({ names, kube, clock }, request, signal);
    return [`the finalizer is taken off ${released} TrainedModels`];
  } finally {
    await kube.close();
  }
}
