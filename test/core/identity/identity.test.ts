import { execFile } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { recoverAddress } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeError } from '../../../core/contract/messages.ts';
import type { ReceiptBatch } from '../../../core/contract/receipt.ts';
import { batchSignedBy } from '../../../core/contract/receipt-hash.ts';
import { pathBetween } from '../../../core/contract/succession-hash.ts';
import { nextIdentity, openIdentity, replaceIdentity } from '../../../core/identity/identity.ts';

const file = (name = 'identity.json') => join(mkdtempSync(join(tmpdir(), 'identity-')), name);
const keyIn = (path: string): string => JSON.parse(readFileSync(path, 'utf8')).privateKey;

test('the first start makes an identity that later starts read again', () => {
  const path = file();
  const identity = openIdentity(path);
  expect(openIdentity(path).address).toBe(identity.address);
  expect(openIdentity(file()).address).not.toBe(identity.address);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(path, '..'))).toEqual(['identity.json']);
});

test('each name is an identity of its own', () => {
  const path = file();
  expect(openIdentity(`${path}.coordinator`).address).not.toBe(openIdentity(path).address);
});

test('what it signs is recovered as its address', () => {
  const identity = openIdentity(file());
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const digest = `0x${Buffer.from(bytes).toString('hex')}`;
      const signature = identity.signDigest(digest);
      expect(signature).toMatch(/^0x[0-9a-f]{130}$/);
      expect(recoverAddress(digest, signature)).toBe(identity.address);
    }),
    { numRuns: 20 },
  );
  const hash = `0x${'1'.repeat(64)}`;
  const batch: ReceiptBatch = { network: 'local', worker: identity.address, first: 1, last: 2, merkleRoot: hash, headHash: hash };
  expect(batchSignedBy(batch, identity.signBatch(batch), identity.address)).toBe(true);
  expect(batchSignedBy({ ...batch, last: 3 }, identity.signBatch(batch), identity.address)).toBe(false);
});

test('the key shows nowhere: not in a dump, not as JSON, not in an error', () => {
  const path = file();
  const identity = openIdentity(path);
  const key = keyIn(path);
  const shown = [
    inspect(identity, { depth: 20, showHidden: true }),
    JSON.stringify(identity),
    String(identity),
    Object.values(identity).join(),
  ];
  for (const text of shown) expect(text).not.toContain(key.slice(0, 16));
  expect(Object.isFrozen(identity)).toBe(true);
  const content = readFileSync(path, 'utf8');
  for (const damaged of [
    content.replace('{', '['),
    content.replace(key, `${key.slice(1)}x`),
    content.slice(0, -3),
    key,
    content.replace(key, '0'.repeat(64)),
  ]) {
    writeFileSync(path, damaged);
    try {
      openIdentity(path);
      expect.unreachable();
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'IDENTITY_INVALID' });
      expect(inspect(thrown, { depth: 20 }) + JSON.stringify(describeError(thrown))).not.toContain(key.slice(1, 16));
    }
  }
});

test('a file that is no identity is refused, and never overwritten', () => {
  const invalid = expect.objectContaining({ code: 'IDENTITY_INVALID' });
  const path = file();
  openIdentity(path);
  openIdentity(`${path}.2`);
  const content = readFileSync(path, 'utf8');
  const other = keyIn(`${path}.2`);
  const order = 'fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141';
  const wrong = ['', '{}', 'null', content.replace(keyIn(path), other), content.replace(keyIn(path), order), ' '.repeat(5000)];
  for (const text of wrong) {
    writeFileSync(path, text);
    expect(() => openIdentity(path), text).toThrow(invalid);
    expect(readFileSync(path, 'utf8')).toBe(text);
  }
  const folder = file();
  mkdirSync(folder);
  expect(() => openIdentity(folder)).toThrow(invalid);
  const link = file();
  symlinkSync(`${path}.2`, link);
  expect(() => openIdentity(link)).toThrow(invalid);
});

test('a key that others may read is refused until the user says otherwise', () => {
  const path = file();
  openIdentity(path);
  for (const mode of [0o640, 0o604, 0o620, 0o644]) {
    chmodSync(path, mode);
    expect(() => openIdentity(path)).toThrow(
      expect.objectContaining({ code: 'IDENTITY_EXPOSED', params: { path, mode: mode.toString(8) } }),
    );
  }
  chmodSync(path, 0o400);
  expect(() => openIdentity(path)).not.toThrow();
});

test('of many processes that start at once, all have the same identity', async () => {
  const path = file();
  const script = `import { openIdentity } from ${JSON.stringify(join(import.meta.dirname, '../../../core/identity/identity.ts'))};
    console.log(openIdentity(${JSON.stringify(path)}).address);`;
  const start = () => promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  const started = await Promise.all(Array.from({ length: 6 }, start));
  expect(new Set(started.map(({ stdout }) => stdout.trim()))).toEqual(new Set([openIdentity(path).address]));
  expect(readdirSync(join(path, '..'))).toEqual(['identity.json']);
});

test('a folder that is not there is named as one that can not be written', () => {
  const path = join(file(), 'deeper', 'identity.json');
  expect(() => openIdentity(path)).toThrow(expect.objectContaining({ code: 'DATA_DIR_UNWRITABLE' }));
  expect(existsSync(path)).toBe(false);
});

test('the next key has the present one’s word, takes its place in one step, and the one that went is kept only where it may be paid', () => {
  const path = join(mkdtempSync(join(tmpdir(), 'rekey-')), 'identity.json');
  const first = openIdentity(path);
  const second = nextIdentity(path);
  // Asked again, also after a crash, it is the same key; until it takes the place nothing has changed.
  expect(nextIdentity(path).address).toBe(second.address);
  expect(openIdentity(path).address).toBe(first.address);
  expect(statSync(`${path}.next`).mode & 0o777).toBe(0o600);
  expect(replaceIdentity(path, { keep: false }).address).toBe(second.address);
  expect(readdirSync(dirname(path))).toEqual(['identity.json']);
  const third = replaceIdentity(path, { keep: true });
  expect(readdirSync(dirname(path)).sort()).toEqual([`identity-${second.address.toLowerCase()}.json`, 'identity.json']);
  const now = openIdentity(path);
  expect(now.address).toBe(third.address);
  expect(pathBetween(now.successions, first.address, third.address)).toHaveLength(2);
  expect(pathBetween(now.successions, second.address, third.address)).toHaveLength(1);
  expect(pathBetween(now.successions, third.address, first.address)).toBeNull();
  // A next key that was made for a key that has gone is nobody's.
  nextIdentity(path);
  writeFileSync(path, readFileSync(join(dirname(path), `identity-${second.address.toLowerCase()}.json`)));
  expect(nextIdentity(path).successions.at(-1)?.from).toBe(second.address);
});
