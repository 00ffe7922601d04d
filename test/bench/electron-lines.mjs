// Which lines of electron/ the tests of the desktop shell execute: `node test/bench/electron-lines.mjs` runs them with V8's own coverage in
// the app's process and in its pages, and maps what ran in dist/electron/ back to the sources. Exit code 1 where a line never ran.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { SourceMap } from 'node:module';
import { tmpdir } from 'node:os';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(import.meta.dirname, '../..');
const built = readdirSync(join(root, 'dist/electron'))
  .filter((name) => /js$/.test(name))
  .map((name) => join(root, 'dist/electron', name));

function runTests(folder) {
  const args = [join(root, 'node_modules/vitest/vitest.mjs'), 'run', 'test/electron'];
  const { status } = spawnSync(process.execPath, args, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, HEARTHLEND_COVERAGE: folder },
  });
  if (status !== 0) throw new Error('the tests of the desktop shell fail');
}

/** A script's file: by its address, or by its path, which a source has that Node took the types out of. */
function pathOf(url) {
  return url.startsWith('file:') ? fileURLToPath(url) : url;
}

/** For every character of a built file: whether any process ran it. */
function executedCharacters(folder, file) {
  const text = readFileSync(file, 'utf8');
  const executed = new Uint8Array(text.length);
  for (const name of readdirSync(folder)) {
    const { result } = JSON.parse(readFileSync(join(folder, name), 'utf8'));
    for (const script of result.filter(({ url }) => pathOf(url) === file)) {
      const ran = new Uint8Array(text.length);
      // Ranges come from the outermost to the innermost.
      for (const { ranges } of script.functions)
        for (const { startOffset, endOffset, count } of ranges) ran.fill(count > 0 ? 1 : 0, startOffset, endOffset);
      for (let i = 0; i < ran.length; i += 1) executed[i] |= ran[i];
    }
  }
  return { text, executed };
}

/** The same, of sources that a test had the app's process load as they are: Node takes types out without moving anything. */
function sourcesRun(folder, lines) {
  const files = new Set(
    readdirSync(folder)
      .flatMap((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')).result)
      .map(({ url }) => pathOf(url))
      .filter((path) => path.startsWith(`${join(root, 'electron')}${sep}`)),
  );
  for (const file of files) {
    const { text, executed } = executedCharacters(folder, file);
    let offset = 0;
    for (const [index, line] of text.split('\n').entries()) {
      const counts = lines.get(`${relative(root, file)}:${index + 1}`);
      for (let column = 0; column < line.length; column += 1) {
        if (counts !== undefined && executed[offset + column] && /\S/.test(line[column])) counts.ran += 1;
      }
      offset += line.length + 1;
    }
  }
}

/** source line → how many of its characters ran and did not. */
function sourceLines(file, { text, executed }, lines) {
  const map = new SourceMap(JSON.parse(readFileSync(`${file}.map`, 'utf8')));
  let offset = 0;
  for (const [lineNumber, line] of text.split('\n').entries()) {
    for (let column = 0; column < line.length; column += 1) {
      if (/[\s(){}[\];,]/.test(line[column])) continue;
      const entry = map.findEntry(lineNumber, column);
      if (entry.originalSource === undefined) continue;
      // The build ran in a folder of its own, so that only the end of the path holds.
      const source = entry.originalSource.replace(/^(\.\.\/)+/, '');
      if (!source.startsWith('electron/')) continue;
      const key = `${source}:${entry.originalLine + 1}`;
      const counts = lines.get(key) ?? { ran: 0, not: 0 };
      counts[executed[offset + column] ? 'ran' : 'not'] += 1;
      lines.set(key, counts);
    }
    offset += line.length + 1;
  }
}

const given = process.argv[2];
const folder = given ?? mkdtempSync(join(tmpdir(), 'hearthlend-lines-'));
try {
  if (given === undefined) runTests(folder);
  const lines = new Map();
  for (const file of built) sourceLines(file, executedCharacters(folder, file), lines);
  sourcesRun(folder, lines);
  const missed = [...lines].filter(([, { ran }]) => ran === 0);
  const partly = [...lines].filter(([, { ran, not }]) => ran > 0 && not > 0);
  for (const [key] of missed) console.log(`never ran: ${key}`);
  for (const [key] of partly) console.log(`ran in part: ${key}`);
  console.log(`${lines.size - missed.length} of ${lines.size} lines of electron/ ran, ${partly.length} of them in part.`);
  process.exitCode = missed.length === 0 && lines.size > 0 ? 0 : 1;
} finally {
  if (given === undefined) rmSync(folder, { recursive: true, force: true });
}
