import { execFileSync } from 'node:child_process';
import { accessSync, constants, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, type TestContext, test } from 'vitest';
import { connectToAgent } from '../../cli/agent/connect.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { Command, type Ended, type Line, run, START, temporaryFolder } from './program.ts';

const FOLDERS = ['/usr/bin', '/bin', '/run/current-system/sw/bin', '/usr/local/bin', ...(process.env.PATH ?? '').split(':')];

/** Every place from which bubblewrap would be taken. */
const bubblewraps = [...new Set(FOLDERS.filter((folder) => folder.startsWith('/')).map((folder) => join(folder, 'bwrap')))].filter(
  (path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  },
);

/**
 * What starts a command so that it, and what it starts, find `instead` wherever bubblewrap is; nobody else notices. PATH alone would not do:
 * the system's own folders are looked through first. Skips where this can't be done.
 */
function without(context: TestContext, instead: string): string[] {
  context.skip(process.platform !== 'linux', 'only Linux has bubblewrap');
  const unshare = process.getuid?.() === 0 ? ['unshare', '--mount'] : ['unshare', '--map-root-user', '--mount'];
  const binds = bubblewraps.map((path) => `mount --bind '${instead}' '${path}' && `).join('');
  const wrapper = [...unshare, 'sh', '-c', `${binds}exec "$@"`, 'sh'];
  try {
    const [command = '', ...args] = [...wrapper, 'true'];
    execFileSync(command, args, { stdio: 'ignore' });
  } catch {
    context.skip(true, 'this machine lets no mount namespace be made in which bubblewrap is hidden');
  }
  return wrapper;
}

/** Practises, and tells what a page is shown meanwhile; then what doctor says for programs and for people. */
async function practise(wrapper: string[]): Promise<{ shown: Snapshot; report: Line; told: Ended }> {
  const dataDir = temporaryFolder('sandboxless');
  const agent = new Command([...START, '--shards', '100000', '--json', '--data-dir', dataDir], { wrapper });
  await agent.event('accepted');
  const connection = await connectToAgent(dataDir);
  if (connection === undefined) throw new Error('the agent does not answer');
  const shown = await connection.client.call('app.watch', {});
  connection.client.close();
  agent.process.kill('SIGINT');
  expect((await agent.ended).code).toBe(0);
  expect(agent.lines.at(-1)).toMatchObject({ event: 'summary', failed: 0, rejected: 0 });
  expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true });

  const doctor = new Command(['doctor', '--json', '--data-dir', dataDir], { wrapper });
  expect((await doctor.ended).code).toBe(0);
  const told = await new Command(['doctor', '--data-dir', dataDir], { wrapper }).ended;
  expect(told.code).toBe(0);
  return { shown, report: doctor.lines.at(-1) ?? {}, told };
}

test('without bubblewrap practice goes on, and page and doctor say what it runs under and how to mend it', async (context) => {
  const { shown, report, told } = await practise(without(context, '/dev/null'));
  expect(shown.state).toMatchObject({ name: 'working' });
  expect(shown.isolation).toMatchObject({
    level: 'process',
    wall: 'none',
    reason: { key: 'isolation.bubblewrap-missing' },
    remedy: { key: 'isolation.bubblewrap-missing.remedy', params: { command: expect.stringContaining('bubblewrap') } },
  });
  expect(report.isolation).toMatchObject({
    level: 'process',
    wall: 'none',
    reason: shown.isolation.reason,
    remedy: shown.isolation.remedy,
  });
  expect(told.stdout).toContain('Not sealed');
  expect(told.stdout).toContain(`Install it: ${shown.isolation.remedy?.params.command}`);
});

test('a bubblewrap that the system refuses is the same as none, and the remedy is another', async (context) => {
  context.skip(bubblewraps.length === 0, 'bubblewrap is not installed');
  const refused = join(temporaryFolder('refused'), 'bwrap');
  writeFileSync(refused, '#!/bin/sh\necho "bwrap: No permissions to create a new namespace" >&2\nexit 1\n', { mode: 0o755 });
  const { shown, report, told } = await practise(without(context, refused));
  expect(shown.isolation).toMatchObject({ level: 'process', wall: 'none' });
  expect(report.isolation).toMatchObject({
    level: 'process',
    wall: 'none',
    remedy: { key: expect.stringMatching(/^isolation\.bubblewrap-refused\./) },
  });
  expect(told.stdout).toContain('No permissions to create a new namespace');
});

test('with bubblewrap the level is os, and every attempt to break out fails', async (context) => {
  context.skip(bubblewraps.length === 0, 'bubblewrap is not installed');
  const dataDir = temporaryFolder('sandboxed');
  const { code, last } = await run(dataDir, 'doctor', '--isolation');
  const { isolation } = last as { isolation: Snapshot['isolation'] };
  context.skip(isolation.reason?.key.startsWith('isolation.bubblewrap-refused') === true, 'this system refuses bubblewrap its namespaces');
  expect(code).toBe(0);
  expect(isolation).toMatchObject({ level: 'os', wall: 'bubblewrap', reason: null, remedy: null });
  expect(isolation.probe?.attempts.length).toBeGreaterThan(10);
  expect(isolation.probe?.attempts.filter(({ succeeded }) => succeeded)).toEqual([]);
});
