import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { expect, test } from 'vitest';
import { allFiles, Command, descendants, hearthlend, runForPeople, START, temporaryFolder } from './program.ts';

const KEY_FILES = ['identity.json', 'coordinator-identity.json'];

/** Every form in which a key could lie about. */
function formsOf(hex: string): Buffer[] {
  const raw = Buffer.from(hex, 'hex');
  const texts = [
    hex,
    hex.toUpperCase(),
    raw.toString('base64').replace(/=+$/, ''),
    raw.toString('base64url'),
    raw.join(','),
    raw.join(', '),
  ];
  return [raw, ...texts.map((text) => Buffer.from(text)), Buffer.from(hex, 'utf16le')];
}

function keysOf(dataDir: string): Buffer[][] {
  return KEY_FILES.map((name) => formsOf((JSON.parse(readFileSync(join(dataDir, name), 'utf8')) as { privateKey: string }).privateKey));
}

const holds = (bytes: Buffer, keys: Buffer[][]) => keys.flat().some((form) => bytes.includes(form));

/** Every process below one with its arguments and environment, as far as they can be read. */
function seenFromOutside(pid: number): Buffer[] {
  return descendants(pid).flatMap((each) =>
    ['cmdline', 'environ'].flatMap((name) => {
      try {
        return [readFileSync(`/proc/${each}/${name}`)];
      } catch {
        // It ended while we looked.
        return [];
      }
    }),
  );
}

/** Files and folders that others could read or enter. A model's file that is also another's, by a hard link, has that one's mode. */
function openToOthers(dataDir: string): string[] {
  return ['', ...readdirSync(dataDir, { recursive: true, encoding: 'utf8' })].filter((path) => {
    const found = statSync(join(dataDir, path), { throwIfNoEntry: false });
    if (found === undefined || (found.isFile() && found.nlink > 1)) return false;
    return (found.mode & 0o777) !== (found.isDirectory() ? 0o700 : found.isSocket() ? found.mode & 0o700 : 0o600);
  });
}

test('the keys are in their two files and nowhere else: no other file, no output, no argument, no environment', async () => {
  const dataDir = temporaryFolder('secrets');
  const agent = hearthlend(dataDir, ...START, '--shards', '100000');
  const outside: Buffer[] = [];
  // Enough of them to meet the workers, the reference's and the sandbox probe's.
  for (let looks = 1; looks <= 10; looks += 1) {
    await agent.line(() => agent.lines.filter(({ event }) => event === 'accepted').length >= looks);
    if (process.platform === 'linux') outside.push(...seenFromOutside(agent.process.pid ?? 0));
  }
  const said: string[] = [];
  for (const argv of ['earnings', 'doctor --isolation', 'settings show', 'job list', 'ledger export --format json']) {
    const { stdout, stderr } = await runForPeople(dataDir, ...argv.split(' '));
    said.push(stdout, stderr);
  }
  // As a kill leaves it: logs that were not merged into their databases, what was only half written.
  await agent.kill();
  said.push(agent.stdout, agent.stderr);

  const keys = keysOf(dataDir);
  const [worker = [], coordinator = []] = keys;
  const files = allFiles(dataDir);
  const names = files.map((path) => relative(dataDir, path));
  const written = ['agent.log', 'agent.json', 'ledger.db', 'ledger.db-wal', 'ledger.head', 'coordinator/coordinator.db-wal'];
  expect(names).toEqual(expect.arrayContaining(written.map((name) => join(name))));
  expect(names.filter((name) => holds(readFileSync(join(dataDir, name)), keys)).sort()).toEqual([...KEY_FILES].sort());
  expect(holds(readFileSync(join(dataDir, 'identity.json')), [coordinator])).toBe(false);
  expect(holds(readFileSync(join(dataDir, 'coordinator-identity.json')), [worker])).toBe(false);
  expect(said.filter((text) => holds(Buffer.from(text), keys))).toEqual([]);
  if (process.platform !== 'linux') return;
  expect(outside.some((bytes) => bytes.includes('worker.mjs') || bytes.includes('native.mjs'))).toBe(true);
  expect(outside.filter((bytes) => holds(bytes, keys))).toEqual([]);
});

test('everything in the data folder is for its owner alone, whatever the umask, while it works, killed, after its end, and with a new worker key', async (context) => {
  context.skip(process.platform === 'win32', 'Windows has no such modes');
  const dataDir = join(temporaryFolder('modes'), 'data');
  const wrapper = ['sh', '-c', 'umask 0; exec "$@"', 'sh'];
  const agent = new Command([...START, '--shards', '100000', '--json', '--data-dir', dataDir], { wrapper });
  await agent.event('accepted');
  expect(openToOthers(dataDir)).toEqual([]);
  await new Command(['settings', 'set', 'theme', 'dark', '--data-dir', dataDir], { wrapper }).ended;
  expect(openToOthers(dataDir)).toEqual([]);
  await agent.kill();
  expect(openToOthers(dataDir)).toEqual([]);
  const again = new Command([...START, '--shards', '2', '--json', '--data-dir', dataDir], { wrapper });
  expect((await again.ended).code).toBe(0);
  expect(openToOthers(dataDir)).toEqual([]);
  // The new worker key is in its file alone, and the old one in the file of before: without a wallet it may still be paid.
  const [former = []] = keysOf(dataDir);
  const rekeyed = await new Command(['identity', 'rekey', '--yes', '--data-dir', dataDir], { wrapper }).ended;
  expect(rekeyed.code).toBe(0);
  expect(openToOthers(dataDir)).toEqual([]);
  const [next = []] = keysOf(dataDir);
  const holding = (key: Buffer[]) =>
    allFiles(dataDir)
      .filter((path) => holds(readFileSync(path), [key]))
      .map((path) => relative(dataDir, path));
  expect(holding(next)).toEqual(['identity.json']);
  expect(holding(former)).toEqual([expect.stringMatching(/^identity-0x[0-9a-f]{40}\.json$/)]);
});
