import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    environment: 'node',
    include: ['test/**/*.test.{ts,tsx}'],
    exclude: ['test/torture/**'],
    globalSetup: ['scripts/build.mjs'],
    reporters: ['default', './test/reporter.ts'],
    // Tests start real processes, databases and browsers, on machines that may be slow and busy.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    pool: 'forks',
    // Half of the time tests wait: for a browser, a disk, a process to end.
    maxWorkers: 3,
  },
});
