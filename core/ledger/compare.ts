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
/** A row, column by column. */
type Cells = (string | number | null)[];

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
    const right = rebuilt.prepare<[], Cells>(sql).raw();
    const columns = right.columns().map(({ name }) => name);
    const stored = db
      .prepare<[], Cells>(`SELECT ${columns.join(', ')} FROM ${table} ORDER BY ${key.join(', ')}`)
      .raw()
      .iterate();
    const expected = right.iterate();
    const keys = key.map((name) => columns.indexOf(name));
    try {
      for (const [found, made] of pairs(stored, expected, keys)) yield difference(table, columns, keys, found, made);
    } finally {
      // A database can't be closed while a statement is half read.
      stored.return?.();
      expected.return?.();
    }
  }
}

/** Rows of two results in the order of their keys, side by side where the keys are the same. */
function* pairs(
  left: Iterator<Cells>,
  right: Iterator<Cells>,
  keys: readonly number[],
): Generator<[Cells | undefined, Cells | undefined], void, undefined> {
  let a = left.next();
  let b = right.next();
  while (a.done !== true || b.done !== true) {
    const order = a.done === true ? 1 : b.done === true ? -1 : compareKeys(a.value, b.value, keys);
    yield [order <= 0 ? a.value : undefined, order >= 0 ? b.value : undefined];
    if (order <= 0) a = left.next();
    if (order >= 0) b = right.next();
  }
}

function compareKeys(a: Cells, b: Cells, keys: readonly number[]): number {
  for (const column of keys) {
    const [left, right] = [a[column] ?? '', b[column] ?? ''];
    if (left !== right) return left < right ? -1 : 1;
  }
  return 0;
}

function difference(
  table: string,
  columns: readonly string[],
  keys: readonly number[],
  found: Cells | undefined,
  right: Cells | undefined,
): Problem | undefined {
  const row = right ?? found ?? [];
  const wrong = columns.findIndex((_, column) => found?.[column] !== right?.[column]);
  if (wrong < 0) return undefined;
  const names = keys.map((column) => row[column]).join(' ');
  return problem('DERIVED_CHANGED', Number(row[columns.indexOf('lastEntry')]), { row: names, table, column: columns[wrong] ?? '' });
}
