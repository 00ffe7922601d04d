import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strFromU8, unzipSync } from 'fflate';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { redactLine } from '../../../core/diagnostics/redact.ts';
import { collectDiagnostics } from '../../../core/diagnostics.ts';
import { openIdentity } from '../../../core/identity/identity.ts';
import { openLedger } from '../../../core/ledger/ledger.ts';
import { openLog } from '../../../core/log/log.ts';

const programParts = { nodePath: process.execPath, workerScript: join(import.meta.dirname, '../../../dist/worker/native.mjs') };

/** One of a kind, so that finding it can't be chance. */
const planted: string[] = [];
function secret(label: string): string {
  const value = `${label}-${randomBytes(12).toString('hex')}`;
  planted.push(value);
  return value;
}

let home: string;
let dataDir: string;

beforeAll(() => {
  home = mkdtempSync(join(tmpdir(), 'hearthlend-home-'));
  dataDir = join(home, secret('folder'));
  mkdirSync(join(dataDir, 'spool'), { recursive: true });
  return () => rmSync(home, { recursive: true, force: true });
});

/** A data folder with a secret in everything that may hold one, and a log into which all of them got, as values and inside others. */
function plant(): Record<string, string> {
  const identity = openIdentity(join(dataDir, 'identity.json'));
  openIdentity(join(dataDir, 'coordinator-identity.json'));
  for (const name of ['identity.json', 'coordinator-identity.json']) {
    planted.push((JSON.parse(readFileSync(join(dataDir, name), 'utf8')) as { privateKey: string }).privateKey);
  }
  planted.push(identity.address);
  writeFileSync(join(dataDir, 'endpoint.json'), JSON.stringify({ url: 'ws://127.0.0.1:1', token: secret('endpoint-token'), pid: 1 }));
  writeFileSync(join(dataDir, 'keystore.json'), JSON.stringify({ version: 3, crypto: { ciphertext: secret('cipher'), mac: randomHex() } }));
  const added = [secret('program')];
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify({ theme: 'dark', rules: { programs: { added } } }));
  writeFileSync(join(dataDir, 'spool', randomHex()), secret('payload'));
  const ledger = openLedger({ path: join(dataDir, 'ledger.db'), signer: identity });
  ledger.record([{ kind: 'agent.started', at: 1, version: '0.1.0', worker: identity.address }]);
  ledger.close();
  const env = { HOME: home, OPENAI_API_KEY: secret('env'), HEARTHLEND_SESSION_CODE: secret('session-code') };
  const log = openLog(join(dataDir, 'agent.log'), Date.now, () => undefined);
  const words = [...planted, secret('prompt'), secret('file-name'), join(dataDir, secret('model'))];
  log('info', 'opened', { dataDir, worker: identity.address });
  for (const word of words) {
    log('warn', 'worker-ended', { code: 'WORKER_CRASHED', stderr: word, path: word, params: { detail: word, deep: { prompt: word } } });
    log('error', word, { code: word, reason: `${word} happened`, [word]: 1, list: [word] });
  }
  return env;
}

function randomHex(): string {
  const hex = randomBytes(32).toString('hex');
  planted.push(hex);
  return hex;
}

test('of secrets planted in every file, the environment and every corner of the log, none is in the report', async () => {
  const env = plant();
  const { parts, zip } = await collectDiagnostics({ dataDir, version: '0.1.0', home, env, parts: programParts, report: null });
  const files = unzipSync(zip());
  expect(Object.keys(files).sort()).toEqual([
    'isolation.json',
    'ledger.json',
    'log.jsonl',
    'machine.json',
    'settings.json',
    'versions.json',
  ]);
  for (const { name, text } of parts) expect(strFromU8(files[name] as Uint8Array)).toBe(text);
  const everything = parts.map(({ name, text }) => `${name}\n${text}`).join('\n');
  expect(planted.length).toBeGreaterThan(10);
  for (const word of [...planted, home]) expect.soft(everything.includes(word), word).toBe(false);
  // What helps is still there.
  expect(JSON.parse(parts.find(({ name }) => name === 'settings.json')?.text ?? '')).toMatchObject({
    theme: 'dark',
    rules: { programs: { added: 1 } },
  });
  expect(JSON.parse(parts.find(({ name }) => name === 'isolation.json')?.text ?? '')).toHaveProperty('level');
  expect(JSON.parse(parts.find(({ name }) => name === 'ledger.json')?.text ?? '')).toMatchObject({ ok: true, entries: 1, problems: [] });
  expect(everything).toContain('"code":"WORKER_CRASHED"');
  expect(JSON.parse(parts.find(({ name }) => name === 'versions.json')?.text ?? '')).toMatchObject({ hearthlend: '0.1.0', running: false });
});

test('nothing is changed or left behind in the data folder', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-empty-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { parts } = await collectDiagnostics({
    dataDir: folder,
    version: '0.1.0',
    home: '/home/nobody',
    env: {},
    parts: programParts,
    report: null,
  });
  expect(readdirSync(folder)).toEqual([]);
  expect(JSON.parse(parts.find(({ name }) => name === 'ledger.json')?.text ?? '')).toMatchObject({ entries: 0 });
});

test('settings that can not be read are named by their code, and the rest of the report is there', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-bad-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, 'settings.json'), '{"theme":');
  const { parts } = await collectDiagnostics({
    dataDir: folder,
    version: '0.1.0',
    home: '/home/nobody',
    env: {},
    parts: programParts,
    report: null,
  });
  expect(parts.find(({ name }) => name === 'settings.json')?.text).toContain('SETTINGS_INVALID');
  expect(parts).toHaveLength(6);
});

test("of a log line, numbers and the program's own words stay; of all else only its length", () => {
  const line = JSON.stringify({
    at: '2026-01-01T00:00:00.000Z',
    level: 'info',
    event: 'attempt ended',
    attempt: 2,
    state: 'failed',
    detail: 'in /home/ann/x',
  });
  expect(JSON.parse(redactLine(line) ?? '')).toEqual({
    at: '2026-01-01T00:00:00.000Z',
    level: 'info',
    event: 'attempt ended',
    attempt: 2,
    state: 'failed',
    detail: '[14 characters]',
  });
  expect(redactLine('panic: secret')).toBe(null);
});
