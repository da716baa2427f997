import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { clusterRequests, constantModel, pidOf, type Stack, startStack } from '@roundhouse/testkit';
import { kubectlPath } from '../../tools/kubectl.ts';
import { artifactPath, startArtifactServer } from './artifact-server.ts';
import { startPrivateStores } from './private-stores.ts';
import { run } from './run.ts';
import { actions, checkout, until, type World } from './world.ts';

export type LocalWorld = World & { readonly stack: Stack };

export type LocalWorldOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly dataDirectory?: string;
  /** More options of `roundhouse up`. */
  readonly args?: readonly string[];
};

/** The embedded cluster, in a process of its own. */
export async function openLocalWorld({ env, dataDirectory, args = [] }: LocalWorldOptions = {}): Promise<LocalWorld> {
  const models = mkdtempSync(join(tmpdir(), 'roundhouse-models-'));
  const [kubectl, artifacts, stack] = await Promise.all([
    kubectlPath(),
    startArtifactServer(),
    startStack({
      checkout,
      args: ['--no-examples', '--file-root', models, ...args],
      ...(env && { env: { ...process.env, ...env } }),
      ...(dataDirectory && { dataDirectory }),
    }),
  ]);
  const api = clusterRequests(stack);
  let stores: ReturnType<typeof startPrivateStores> | undefined;
  const runKubectl: World['kubectl'] = (args, input) =>
    run(kubectl, args, { ...(input !== undefined && { input }), env: { KUBECONFIG: stack.kubeconfig } });
  return {
    ...actions(runKubectl, api, stack.routerUrl),
    stack,
    artifact(name, value, delayMs) {
      if (delayMs !== undefined) return `http://127.0.0.1:${artifacts.port}${artifactPath(name, value, delayMs)}`;
      mkdirSync(join(models, name), { recursive: true });
      const content = value === 'corrupt' ? '{"learner": {"gradient' : constantModel(value);
      writeFileSync(join(models, name, 'model.json'), content);
      return `file://${join(models, name)}`;
    },
    async stores() {
      stores ??= startPrivateStores();
      return await stores;
    },
    async kill(namespace, podPrefix, container) {
      const pid = await pidOf(api, namespace, podPrefix, container);
      if (pid === undefined) throw new Error(`${container} of ${podPrefix} does not run`);
      process.kill(pid, 'SIGKILL');
      const untilBack = () =>
        until('it runs again', async () => {
          const now = await pidOf(api, namespace, podPrefix, container);
          return now !== undefined && now !== pid;
        });
      return { untilBack: async () => void (await untilBack()) };
    },
    async close() {
      await stack.stop();
      await Promise.all([artifacts.close(), stores?.then(({ close }) => close())]);
      rmSync(models, { recursive: true, force: true });
    },
  };
}
