import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

/** What gives another answer at each replica or at each time, in TypeScript and in SQLite's SQL. */
const OWN_MIND =
  /Date\.now|new Date\(\)|performance\.now|Math\.random|randomUUID|randomBytes|getRandomValues|hrtime|process\.(env|pid)|\bCURRENT_(TIME|DATE|TIMESTAMP)|\b(random|randomblob|julianday|unixepoch|strftime|datetime|changes|total_changes|last_insert_rowid)\(\)|'now'/;

test('no change of the store knows a clock, chance or its machine: every replica makes the same of it', () => {
  const room = fileURLToPath(new URL('../../coordinator/sqlite/', import.meta.url));
  const files = globSync('**/*.ts', { cwd: room });
  expect(files.length).toBeGreaterThan(10);
  const found = files.flatMap((file) =>
    readFileSync(`${room}${file}`, 'utf8')
      .split('\n')
      .flatMap((line, index) => (OWN_MIND.test(line) ? [`${file}:${index + 1} ${line.trim()}`] : [])),
  );
  expect(found).toEqual([]);
});
