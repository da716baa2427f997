import { defineConfig } from 'vitest/config';

/** Shared by every workspace: node environment, no globals, tests beside the code. */
export default defineConfig({
  test: {
    include: ['**/*.test.ts', '**/*.e2e.ts'],
    passWithNoTests: true,
    testTimeout: 20_000,
    hookTimeout: 60_000,
  },
});
