import { mergeConfig } from 'vitest/config';
import shared from '../vitest.shared.ts';

/** Each scenario starts a stack of its own: one at a time, so that their figures are not each other's. */
export default mergeConfig(shared, {
  test: { globalSetup: ['./frame/setup.ts'], fileParallelism: false, testTimeout: 120_000, hookTimeout: 120_000 },
});
