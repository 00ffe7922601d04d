import type { Database } from 'better-sqlite3';
import { HearthlendError } from '../contract/errors.ts';
import { describeError } from '../contract/messages.ts';
import { DERIVED_TABLES } from './derived.ts';
import { type Problem, problem } from './problem.ts';

interface SchemaRow {
  type: string;
  name: string;
  sql: string | null;
}
type Row = Record<string, string | number | null>;

/** Tables, indexes and triggers that are not as the migrations make them: a trigger that was dropped, say. */
export function checkSchema(db: Database, made: Database): Problem[] {
  const read = (from: Database) =>
    new Map(
      from
        .prepare<[], SchemaRow>("SELECT type, name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
        .all()
        .map((row) => [`${row.type} ${row.name}`, row]),
    );
  const [found, expected] = [read(db), read(made)];
  return [...new Set([...found.keys(), ...expected.keys()])]
    .filter((name) => found.get(name)?.sql !== expected.get(name)?.sql)
    .map((name) => problem(expected.get(name)?.type === 'table' ? 'TABLE_CHANGED' : 'SCHEMA_CHANGED', null, { name }));
}

/** Damage in the file's pages and indexes that reading the rows doesn't meet. */
export function checkPages(db: Database, path: string): Problem[] {
  const rows = db.pragma('integrity_check(10)') as Array<{ integrity_check: string }>;
  return rows
    .map((row) => row.integrity_check)
    .filter((found) => found !== 'ok')
    .map((detail) => {
      const { code, what } = describeError(new HearthlendError('DATABASE_CORRUPT', { path, detail }));
      return { code, sequence: null, detail: what };
    });
}

/** Compares every derived row with its rebuilt one. Yields every difference, and undefined where two rows are the same. */
export function* compareDerived(db: Database, rebuilt: Database): Generator<Problem | undefined, void, undefined> {
  for (const { table, key } of DERIVED_TABLES) {
    const sql = `SELECT * FROM ${table} ORDER BY ${key.join(', ')}`;
    const stored = db.prepare<[], Row>(sql).iterate();
    const expected = rebuilt.prepare<[], Row>(sql).iterate();
    try {
      for (const [found, right] of pairs(stored, expected, key)) yield difference(table, key, found, right);
    } finally {
      // A database can't be closed while a statement is half read.
      stored.return?.();
      expected.return?.();
    }
  }
}

/** Rows of two results in the order of their keys, side by side where the keys are the same. */
function* pairs(
  left: Iterator<Row>,
  right: Iterator<Row>,
  key: readonly string[],
): Generator<[Row | undefined, Row | undefined], void, undefined> {
  let a = left.next();
  let b = right.next();
  while (a.done !== true || b.done !== true) {
    const order = a.done === true ? 1 : b.done === true ? -1 : compareKeys(a.value, b.value, key);
    yield [order <= 0 ? a.value : undefined, order >= 0 ? b.value : undefined];
    if (order <= 0) a = left.next();
    if (order >= 0) b = right.next();
  }
}

function compareKeys(a: Row, b: Row, key: readonly string[]): number {
  for (const column of key) {
    const [left, right] = [a[column] ?? '', b[column] ?? ''];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

function difference(table: string, key: readonly string[], found: Row | undefined, right: Row | undefined): Problem | undefined {
  const row = right ?? found ?? {};
  const column = Object.keys(row).find((name) => found?.[name] !== right?.[name]);
  if (column === undefined) return undefined;
  const names = key.map((name) => row[name]).join(' ');
  return problem('DERIVED_CHANGED', Number(row.lastEntry), { row: names, table, column });
}
