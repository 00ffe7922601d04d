import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decryptKeystoreJson, encryptKeystoreJsonSync, HDNodeWallet, Wallet } from 'ethers';
import { describe, expect, it } from 'vitest';
import { seal } from '../../../core/contract/seal.ts';
import { sealPurpose } from '../../../core/contract/signer.ts';
import { pauseAfter } from '../../../core/wallet/pause.ts';
import { openBench, PASSWORD, refusal, thisWall } from './workbench.ts';

const PHRASE = 'test test test test test test test test test test test junk';
const PHRASE_ADDRESS = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const KEY = `0x${'4c'.repeat(32)}`;

/** A keystore V3 that costs nothing to guess at, as bad programs write them. */
const weakKeystore = (password: string) => encryptKeystoreJsonSync(new Wallet(KEY), password, { scrypt: { N: 2 } });

describe('a wallet made here', () => {
  it('is a keystore that ethers itself decrypts, with the words that were shown, at full strength', async () => {
    const bench = await openBench();
    const { words } = await bench.create();
    const path = join(bench.folder, 'keystore.json');
    const json = readFileSync(path, 'utf8');
    expect(JSON.parse(json)).toMatchObject({ version: 3, Crypto: { kdf: 'scrypt', kdfparams: { n: 131_072, r: 8, p: 1 } } });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(bench.folder).mode & 0o777).toBe(0o700);
    const expected = HDNodeWallet.fromPhrase(words.join(' '));
    expect(await decryptKeystoreJson(json, PASSWORD)).toMatchObject({ address: expected.address, privateKey: expected.privateKey });
    expect(bench.wallet.status()).toMatchObject({
      kind: 'own',
      address: expected.address,
      unlocked: true,
      backedUp: false,
      hasWords: true,
    });
    expect(readdirSync(bench.folder).sort()).toEqual(['keystore.json']);
    expect(await bench.revealKey()).toBe(expected.privateKey);
  });

  it('counts as backed up once three of its words were written again, after a restart too', async () => {
    const bench = await openBench();
    const { words, ask } = await bench.create();
    expect(new Set(ask).size).toBe(3);
    expect(await refusal(bench.confirm(['zoo', 'zoo', 'zoo']))).toBe('WALLET_WORDS_WRONG');
    expect(bench.wallet.status().backedUp).toBe(false);
    await bench.wallet.lock();
    expect(await refusal(bench.confirm(ask.map((position) => words[position - 1] ?? '')))).toBe('WALLET_LOCKED');
    const again = await bench.revealWords();
    expect(again.words).toEqual(words);
    expect((await bench.confirm(again.ask.map((position) => ` ${words[position - 1]?.toUpperCase()} `))).backedUp).toBe(true);
    const other = await openBench({ folder: bench.folder });
    expect(other.wallet.status()).toMatchObject({ backedUp: true, unlocked: false });
  });

  it('is never made beside another, nor in its place', async () => {
    const bench = await openBench();
    await bench.create();
    const before = readFileSync(join(bench.folder, 'keystore.json'));
    expect(await refusal(bench.create())).toBe('WALLET_EXISTS');
    expect(await refusal(bench.import({ kind: 'key', key: KEY }))).toBe('WALLET_EXISTS');
    expect(await refusal((async () => bench.wallet.watch(PHRASE_ADDRESS))())).toBe('WALLET_EXISTS');
    expect(readFileSync(join(bench.folder, 'keystore.json'))).toEqual(before);
  });

  it('is one of two that are made at once', async () => {
    const first = await openBench();
    const second = await openBench({ folder: first.folder });
    const outcomes = await Promise.all([first, second].map((bench) => refusal(bench.create())));
    expect(outcomes.sort()).toEqual(['INTERNAL', 'WALLET_EXISTS']);
    expect(readdirSync(first.folder)).toEqual(['keystore.json']);
    expect(await first.unlock()).toMatchObject({ unlocked: true, address: second.wallet.status().address });
  });
});

describe('a wallet brought along', () => {
  it.each([
    ['its words', { kind: 'words', words: `  ${PHRASE.replaceAll(' ', '\n ').toUpperCase()} ` }, PHRASE_ADDRESS, true],
    ['its key', { kind: 'key', key: KEY.slice(2) }, new Wallet(KEY).address, false],
  ] as const)('comes in by %s and counts as backed up', async (_what, from, address, hasWords) => {
    const bench = await openBench();
    expect(await bench.import(from)).toMatchObject({ kind: 'own', address, hasWords, backedUp: true, unlocked: true });
    const { address: written } = JSON.parse(readFileSync(join(bench.folder, 'keystore.json'), 'utf8')) as { address: string };
    expect(`0x${written}`).toBe(address.toLowerCase());
    if (!hasWords) expect(await refusal(bench.revealWords())).toBe('WALLET_NO_WORDS');
  });

  it('comes in by a keystore, however weak, and is kept at full strength under the new password', async () => {
    const bench = await openBench();
    const json = weakKeystore('weak').replace('"Crypto"', '"crypto"');
    expect(await refusal(bench.import({ kind: 'keystore', json, password: 'wrong' }))).toBe('WALLET_PASSWORD_WRONG');
    await bench.import({ kind: 'keystore', json, password: 'weak' });
    expect(JSON.parse(readFileSync(join(bench.folder, 'keystore.json'), 'utf8')).Crypto.kdfparams.n).toBe(131_072);
  });

  it.each([
    ['a word mistyped', { kind: 'words', words: PHRASE.replace('junk', 'jung') }],
    ['a word left out', { kind: 'words', words: PHRASE.replace(' junk', '') }],
    ['a key that is none', { kind: 'key', key: `0x${'00'.repeat(32)}` }],
    ['a key too long', { kind: 'key', key: `${KEY}00` }],
    ['a keystore that is none', { kind: 'keystore', json: '{"version":3}', password: 'x' }],
    [
      'a keystore that asks for all memory',
      { kind: 'keystore', json: weakKeystore('x').replace('"n":2', '"n":1073741824'), password: 'x' },
    ],
  ] as const)('is refused for %s, and nothing is written', async (_what, from) => {
    const bench = await openBench();
    expect(await refusal(bench.import(from))).toBe('WALLET_SECRET_INVALID');
    expect(readdirSync(bench.folder)).toEqual([]);
  });

  it("takes another's place only for that one's password, which stays beside it", async () => {
    const bench = await openBench();
    await bench.create();
    const old = readFileSync(join(bench.folder, 'keystore.json'), 'utf8');
    const { address } = bench.wallet.status();
    expect(await refusal(bench.import({ kind: 'words', words: PHRASE }, 'not the password'))).toBe('WALLET_PASSWORD_WRONG');
    expect(readFileSync(join(bench.folder, 'keystore.json'), 'utf8')).toBe(old);
    expect(await bench.import({ kind: 'words', words: PHRASE }, PASSWORD, 'another password')).toMatchObject({ address: PHRASE_ADDRESS });
    expect(readFileSync(join(bench.folder, `replaced-${address}-1.json`), 'utf8')).toBe(old);
    await bench.wallet.lock();
    expect(await refusal(bench.unlock())).toBe('WALLET_PASSWORD_WRONG');
    expect(await bench.unlock('another password')).toMatchObject({ unlocked: true });
  });
});

describe('a password', () => {
  it('that is wrong costs time, changes nothing, and more of it from the fourth on', async () => {
    const bench = await openBench();
    await bench.create();
    const before = readFileSync(join(bench.folder, 'keystore.json'));
    await bench.wallet.lock();
    const startedAt = performance.now();
    expect(await refusal(bench.unlock('wrong password'))).toBe('WALLET_PASSWORD_WRONG');
    expect(performance.now() - startedAt).toBeGreaterThan(100);
    expect(bench.wallet.status().unlocked).toBe(false);
    expect(readFileSync(join(bench.folder, 'keystore.json'))).toEqual(before);
    expect(await bench.unlock()).toMatchObject({ unlocked: true });
    expect([0, 2, 3, 4, 30].map(pauseAfter)).toEqual([0, 0, 1000, 2000, 30_000]);
    for (let wrong = 0; wrong < 3; wrong += 1) await refusal(bench.unlock('wrong password'));
    // Locking and starting anew wipes nothing out.
    await bench.wallet.lock();
    const lateAt = performance.now();
    expect(await bench.unlock()).toMatchObject({ unlocked: true });
    expect(performance.now() - lateAt).toBeGreaterThan(1000);
  });

  it('that is short is refused before anything is made', async () => {
    const bench = await openBench();
    expect(await refusal(bench.create('too short'))).toBe('WALLET_PASSWORD_SHORT');
    expect(readdirSync(bench.folder)).toEqual([]);
  });

  it('may be of any script, however its accents are composed', async () => {
    const bench = await openBench();
    await bench.create('p\u00e4ssw\u00f6rter \u{1f525}');
    await bench.wallet.lock();
    expect(await bench.unlock('pa\u0308sswo\u0308rter \u{1f525}')).toMatchObject({ unlocked: true });
  });
});

describe('the lock', () => {
  it('kills the signer: whoever waits is told, and the next one starts with another key', async () => {
    const bench = await openBench();
    await bench.create();
    const key = await bench.wallet.begin();
    const [first, late] = [await bench.sealed('unlock', { password: PASSWORD }), await bench.sealed('unlock', { password: PASSWORD })];
    const waiting = refusal(bench.wallet.unlock(first));
    expect(await bench.wallet.lock()).toMatchObject({ unlocked: false, locksAt: null });
    expect(await waiting).toBe('WALLET_LOCKED');
    expect(bench.children[0]?.signalCode ?? bench.children[0]?.exitCode).not.toBeNull();
    expect(await bench.wallet.begin()).not.toBe(key);
    expect(await refusal(bench.wallet.unlock(late))).toBe('SEAL_INVALID');
    expect(bench.changes.at(-1)).toMatchObject({ unlocked: false });
  });

  it('falls by itself when the wallet is not used, and when the signer dies', async () => {
    const bench = await openBench({ autoLockMinutes: 1 / 600 });
    await bench.create();
    await expect.poll(() => bench.wallet.status().unlocked, { timeout: 10_000 }).toBe(false);
    const other = await openBench({ folder: bench.folder });
    await other.unlock();
    other.children[0]?.kill('SIGKILL');
    await expect.poll(() => other.changes.at(-1)?.unlocked, { timeout: 10_000 }).toBe(false);
    expect(await other.unlock()).toMatchObject({ unlocked: true });
  });
});

describe('an address of a wallet elsewhere', () => {
  it('is taken with its checksum, and no wallet is made beside it until it is let go', async () => {
    const bench = await openBench();
    expect(bench.wallet.watch(PHRASE_ADDRESS.toLowerCase())).toMatchObject({ kind: 'watch', address: PHRASE_ADDRESS });
    expect(await refusal(bench.create())).toBe('WALLET_EXISTS');
    expect(bench.wallet.watch(null)).toMatchObject({ kind: 'none', address: null });
  });

  it.each([PHRASE_ADDRESS.replace('F6F4', 'f6F4'), PHRASE_ADDRESS.slice(0, -1), `0x${'0'.repeat(40)}`, 'vitalik.eth'])(
    'is refused for %s',
    async (address) => {
      const bench = await openBench();
      expect(await refusal((async () => bench.wallet.watch(address))())).toBe('WALLET_ADDRESS_INVALID');
    },
  );
});

describe('what is sealed', () => {
  it('opens for its own purpose alone', async () => {
    const bench = await openBench();
    await bench.create();
    const sealed = await seal(await bench.wallet.begin(), sealPurpose('unlock'), { password: PASSWORD });
    expect(await refusal(bench.wallet.confirm(sealed))).toBe('SEAL_INVALID');
    const flipped = { ...sealed, box: `${sealed.box[0] === 'A' ? 'B' : 'A'}${sealed.box.slice(1)}` };
    expect(await refusal(bench.wallet.unlock(flipped))).toBe('SEAL_INVALID');
    expect(await bench.wallet.unlock(sealed)).toMatchObject({ unlocked: true });
  });
});

it('a damaged keystore is named and left as it is', async () => {
  const bench = await openBench();
  mkdirSync(bench.folder, { recursive: true });
  writeFileSync(join(bench.folder, 'keystore.json'), '{"version":3,"addr');
  expect(await refusal((async () => bench.wallet.status())())).toBe('KEYSTORE_INVALID');
  expect(await refusal(bench.create())).toBe('KEYSTORE_INVALID');
  expect(readFileSync(join(bench.folder, 'keystore.json'), 'utf8')).toBe('{"version":3,"addr');
});

it('without a wall the signer works and its status says that it is not offline', async () => {
  const wall = await thisWall();
  const reason = { key: 'isolation.bubblewrap-missing', params: {} } as const;
  const bench = await openBench({ behind: { ...wall, level: 'process', wall: 'none', program: null, reason } });
  await bench.create();
  expect(bench.wallet.status()).toMatchObject({ unlocked: true, offline: { sealed: false, reason } });
});
