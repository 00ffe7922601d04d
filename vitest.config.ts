import { defineConfig } from 'vitest/config';
import { LongestFirst } from './test/order.ts';

/** Files that need a process of their own: what they import sets hooks or the environment for the file that it is first imported by. */
const ALONE = ['test/{electron,end-to-end,endurance,packages,worker}/**/*.test.ts'];

export default defineConfig({
  test: {
    environment: 'node',
    globalSetup: ['scripts/build.mjs'],
    reporters: ['default', './test/reporter.ts'],
    // Tests start real processes, databases and browsers, on machines that may be slow and busy.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 30_000,
    expect: { poll: { timeout: 30_000 } },
    pool: 'forks',
    // Half of the time tests wait: for a browser, a disk, a process to end.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      { extends: true, test: { name: 'alone', include: ALONE } },
      // The others share three processes: to start one, and to import the same modules again, takes longer than most of these files.
      {
        extends: true,
        test: { name: 'together', include: ['test/**/*.test.{ts,tsx}'], exclude: [...ALONE, 'test/torture/**'], isolate: false },
      },
    ],
  },
});
