import { defineConfig } from 'vitest/config';

/** Shared by every workspace: node environment, no globals, tests beside the code. */
export default defineConfig({
  test: {
    include: ['**/*.test.ts', '**/*.e2e.ts'],
    passWithNoTests: true,
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // Polling ends when what is waited for is there; a second, the default, is short for a busy machine.
    expect: { poll: { timeout: 15_000 } },
  },
});
