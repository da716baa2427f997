import { mergeConfig } from 'vitest/config';
import shared from '../vitest.shared.ts';

const isLocal = (process.env.E2E_TARGET ?? 'local') === 'local';

/** Each scenario starts a stack of its own, or has the cluster to itself: one at a time, so that their figures are not each other's. */
export default mergeConfig(shared, {
  test: {
    globalSetup: ['./frame/setup.ts'],
    // What uses the embedded cluster's command line, or files and stores of this machine, is for there; what needs real pods for a real cluster.
    exclude: isLocal
      ? ['**/node_modules/**', 'scenarios/kubernetes/**']
      : ['**/node_modules/**', 'scenarios/{beside-kserve,command-line,conformance,storage}.e2e.ts'],
    fileParallelism: false,
    testTimeout: isLocal ? 120_000 : 300_000,
    hookTimeout: 240_000,
  },
});
