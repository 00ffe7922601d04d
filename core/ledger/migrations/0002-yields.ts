import type { Migration } from '../migrate.ts';

/** A stretch set aside also has what it gave back: how long that took in ms, and what was measured, as JSON. */
export const yields: Migration = {
  version: 2,
  up: `
    ALTER TABLE spans ADD COLUMN yieldMs REAL;
    ALTER TABLE spans ADD COLUMN freed TEXT;
    CREATE INDEX spans_aside ON spans (id) WHERE kind = 'aside';
  `,
};
