import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, closeSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { beforeAll, expect, onTestFinished, type TestContext, test } from 'vitest';
import { allFiles, Command, copyOf, hearthlend, type Line, NODE, PROGRAM, run, runForPeople, START, temporaryFolder } from './program.ts';

const isRoot = process.getuid?.() === 0;
/** A user who owns nothing. */
const NOBODY = 65534;

/** A data folder after a run of two shards. */
let whole = '';
/** A copy of it that one test after the other breaks and mends: a start that works takes longer than several that are refused. */
let mended = '';
beforeAll(async () => {
  whole = temporaryFolder('whole');
  expect((await run(whole, ...START, '--shards', '2')).code).toBe(0);
  mended = copyOf(whole);
});

const told = new Set<string>();

/** `start` fails for programs and for people alike: its code, words that name the cause, and what to do next. */
async function refuses(dataDir: string, code: string, names: string | RegExp, ...argv: string[]): Promise<void> {
  const asked = await run(dataDir, ...START, '--shards', '1', ...argv);
  const line: Line = { event: 'error', code, message: expect.stringMatching(names), next: expect.stringMatching(/\.$/) };
  expect(asked).toMatchObject({ code: 1, stderr: '', last: line });
  // The words for people are the same each time that a code is told.
  if (told.has(code)) return;
  told.add(code);
  const words = await runForPeople(dataDir, ...START, '--shards', '1', ...argv);
  expect(words.code).toBe(1);
  expect(words.stderr).toBe(`${asked.last.message}\n${asked.last.next} (${code})\n`);
}

const DATABASES = ['ledger.db', 'coordinator/coordinator.db'];

test.each(DATABASES)('a damaged %s is called corrupt and left as it is', async (name) => {
  const dataDir = mended;
  const path = join(dataDir, name);
  const good = readFileSync(path);
  for (const bad of [Buffer.from('This is no database. '.repeat(500)), Buffer.from(good).fill(0xee, 4096, 4096 * 6)]) {
    writeFileSync(path, bad);
    await refuses(dataDir, 'DATABASE_CORRUPT', name);
    expect(readFileSync(path).equals(bad)).toBe(true);
  }
  writeFileSync(path, good);
});

test.each(DATABASES)('%s of a newer version is refused and not touched', async (name) => {
  const dataDir = mended;
  const path = join(dataDir, name);
  const setVersion = (version: number) => {
    const db = new Database(path);
    const before = db.pragma('user_version', { simple: true }) as number;
    db.pragma(`user_version = ${version}`);
    db.pragma('wal_checkpoint(TRUNCATE)');
    db.close();
    return before;
  };
  const before = setVersion(99);
  const bytes = readFileSync(path);
  await refuses(dataDir, 'DATABASE_NEWER', /newer Hearthlend \(version 99/);
  expect(readFileSync(path).equals(bytes)).toBe(true);
  setVersion(before);
});

test('settings.json with what can not be is named, left as it is, and mended by taking it away', async () => {
  const dataDir = mended;
  const path = join(dataDir, 'settings.json');
  for (const [bad, names] of [
    ['{"theme": ', /settings\.json/],
    ['{"thema": "dark"}', /thema/],
    ['{"practice": {"shardsPerDay": -1, "minutesPerDay": 10}}', /practice\.shardsPerDay/],
  ] as const) {
    writeFileSync(path, bad, { mode: 0o600 });
    await refuses(dataDir, 'SETTINGS_INVALID', names);
    expect(readFileSync(path, 'utf8')).toBe(bad);
  }
  rmSync(path);
});

test('an identity that others could read, or that is damaged, is refused without showing its key', async (context) => {
  context.skip(process.platform === 'win32', 'Windows has no such modes');
  const dataDir = mended;
  const path = join(dataDir, 'identity.json');
  const good = readFileSync(path);
  const { privateKey } = JSON.parse(good.toString()) as { privateKey: string };
  chmodSync(path, 0o644);
  await refuses(dataDir, 'IDENTITY_EXPOSED', /identity\.json.*644/);
  chmodSync(path, 0o600);
  for (const bad of [good.subarray(0, -20), Buffer.from(good.toString().replace(privateKey, `${privateKey.slice(1)}0`)), Buffer.alloc(0)]) {
    writeFileSync(path, bad);
    const { stdout, stderr, last } = await run(dataDir, ...START, '--shards', '1');
    expect(last).toMatchObject({ event: 'error', code: 'IDENTITY_INVALID', message: expect.stringContaining(path) });
    expect(stdout + stderr).not.toContain(privateKey.slice(1, 60));
    expect(readFileSync(path)).toEqual(bad);
  }
  writeFileSync(path, good);
});

test('a port in use is named, and the data folder is let go', async () => {
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => new Promise<void>((resolve) => other.close(() => resolve())));
  const { port } = other.address() as { port: number };
  await refuses(mended, 'PORT_IN_USE', String(port), '--port', String(port));
});

test('with the good files back and the port free, what was recorded is there, and work goes on', async () => {
  const started = await run(mended, ...START, '--shards', '1');
  expect(started).toMatchObject({ code: 0, last: { event: 'summary', accepted: 1 } });
  expect((await run(mended, 'ledger', 'verify')).last).toMatchObject({ ok: true, receipts: 3 });
});

test('a second agent on the same folder is refused with the process id of the first, which goes on', async () => {
  const dataDir = copyOf(whole);
  const first = hearthlend(dataDir, ...START, '--shards', '10000');
  await first.event('accepted');
  await refuses(dataDir, 'AGENT_RUNNING', new RegExp(`process ${first.process.pid}\\)`));
  const before = first.lines.filter(({ event }) => event === 'accepted').length;
  await first.line((line) => line.event === 'accepted' && first.lines.indexOf(line) > before);
  first.process.kill('SIGINT');
  expect((await first.ended).code).toBe(0);
  expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true });
});

/** Runs a program of this machine. Throws where it is missing or fails. */
function system(...[command = '', ...args]: string[]): void {
  execFileSync(command, args, { stdio: 'ignore' });
}

/** Hands a data folder to nobody, and runs the program as that user. Skips where this can't be done. */
function asNobody(context: TestContext, dataDir: string): (...argv: string[]) => Promise<Command> {
  context.skip(!isRoot, 'only root can become another user, whom file permissions bind');
  const wrapper = ['setpriv', `--reuid=${NOBODY}`, `--regid=${NOBODY}`, '--clear-groups', '--'];
  try {
    system(...wrapper, NODE, PROGRAM, '--version');
  } catch {
    context.skip(true, 'another user can not reach this program, or setpriv is missing');
  }
  for (const path of [dataDir, ...readdirSync(dataDir, { recursive: true, encoding: 'utf8' }).map((name) => join(dataDir, name))]) {
    chownSync(path, NOBODY, NOBODY);
  }
  return async (...argv) => {
    const command = new Command([...argv, '--json', '--data-dir', dataDir], { wrapper });
    await command.ended;
    return command;
  };
}

test('a read-only data folder is named, and once it is writable work goes on', async (context) => {
  const dataDir = copyOf(whole);
  const nobody = asNobody(context, dataDir);
  chmodSync(dataDir, 0o500);
  const before = allFiles(dataDir).map((path) => [path, readFileSync(path, 'latin1')]);
  const refused = await nobody(...START, '--shards', '1');
  expect((await refused.ended).code).toBe(1);
  const next = expect.stringContaining('--data-dir');
  expect(refused.lines).toEqual([{ event: 'error', code: 'DATA_DIR_UNWRITABLE', message: expect.stringContaining(dataDir), next }]);
  expect(allFiles(dataDir).map((path) => [path, readFileSync(path, 'latin1')])).toEqual(before);
  chmodSync(dataDir, 0o700);
  expect((await nobody(...START, '--shards', '1')).lines.at(-1)).toMatchObject({ event: 'summary', accepted: 1 });
  expect((await nobody('ledger', 'verify')).lines).toMatchObject([{ ok: true, receipts: 3 }]);
});

test("another user's data folder is refused", async (context) => {
  const dataDir = copyOf(whole);
  const nobody = asNobody(context, dataDir);
  chownSync(dataDir, 0, 0);
  chmodSync(dataDir, 0o755);
  expect((await nobody(...START, '--shards', '1')).lines).toMatchObject([{ event: 'error', code: 'DATA_DIR_UNWRITABLE' }]);
});

/** A data folder on a small disk of its own. Skips where none can be made. */
function smallDisk(context: TestContext, mebibytes: number): string {
  context.skip(process.platform !== 'linux' || !isRoot, 'only root on Linux can mount a small disk to fill');
  const folder = temporaryFolder('disk');
  try {
    system('mount', '-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0700`, 'tmpfs', folder);
  } catch {
    context.skip(true, 'this machine lets no disk be mounted');
  }
  onTestFinished(() => system('umount', '--lazy', folder));
  const dataDir = join(folder, 'data');
  mkdirSync(dataDir, { mode: 0o700 });
  return dataDir;
}

/** Takes all the room that is left on a folder's disk, to the last byte. */
function fill(dataDir: string): string {
  const path = join(dataDir, '..', 'filler');
  const file = openSync(path, 'a');
  try {
    for (let bytes = 1 << 20; bytes >= 1; ) {
      try {
        writeSync(file, Buffer.alloc(bytes));
      } catch {
        bytes >>= 1;
      }
    }
  } finally {
    closeSync(file);
  }
  return path;
}

test('on a disk that gets full work stops and says so, and goes on by itself once there is room', async (context) => {
  const dataDir = smallDisk(context, 48);
  const agent = hearthlend(dataDir, ...START, '--shards', '100000');
  await agent.event('accepted');
  const filler = fill(dataDir);
  const full = await agent.line(({ event, reason }) => event === 'state' && (reason as Line).key === 'reason.disk-full');
  expect(full).toMatchObject({ name: 'waiting' });
  const at = agent.lines.indexOf(full);
  rmSync(filler);
  await agent.line((line) => line.event === 'state' && line.name === 'working' && agent.lines.indexOf(line) > at);
  await agent.line((line) => line.event === 'accepted' && agent.lines.indexOf(line) > at);
  agent.process.kill('SIGINT');
  expect((await agent.ended).code).toBe(0);
  const verified = await run(dataDir, 'ledger', 'verify');
  expect(verified.last).toMatchObject({ ok: true });
  const accepted = agent.lines.filter(({ event }) => event === 'accepted').map(({ shard }) => shard);
  expect(new Set(accepted).size).toBe(accepted.length);
  expect(verified.last.receipts).toBe(Number(agent.lines.at(-1)?.accepted));
});

test('on a disk that is full from the start it says so, and works once there is room', async (context) => {
  const dataDir = smallDisk(context, 48);
  const filler = fill(dataDir);
  const asked = await run(dataDir, ...START, '--shards', '1');
  expect(asked).toMatchObject({ code: 1, last: { event: 'error', code: 'DISK_FULL', next: expect.stringMatching(/\.$/) } });
  rmSync(filler);
  expect((await run(dataDir, ...START, '--shards', '1')).last).toMatchObject({ event: 'summary', accepted: 1 });
  // Full again, with a ledger in it.
  const again = fill(dataDir);
  const full = await run(dataDir, ...START, '--shards', '1');
  expect(full).toMatchObject({ code: 1, last: { event: 'error', code: 'DISK_FULL' } });
  // Also to read a database, SQLite needs a little room.
  expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ event: 'error', code: 'DISK_FULL' });
  rmSync(again);
  expect((await run(dataDir, ...START, '--shards', '1')).last).toMatchObject({ event: 'summary', accepted: 1 });
  expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true, receipts: 2 });
});
