import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { HearthlendError } from '../../core/contract/errors.ts';
import { createSealReceiver, type SealReceiver, seal } from '../../core/contract/seal.ts';
import { replyPurpose, sealPurpose, WALLET_SECRETS, type WalletAct } from '../../core/contract/signer.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { practising } from '../fakes/snapshots.ts';
import { noWallet } from '../fakes/wallet.ts';
import { closePage, launchBrowser, type Opened, openPage, type View } from './open-page.ts';

const ADDRESS = '0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266';
const PASSWORD = 'lantern over the hill';
const WORDS = 'legal winner thank year wave sausage worth useful legal winner thank yellow'.split(' ');

let browser: Browser;
let opened: Opened;
beforeAll(async () => {
  browser = await launchBrowser();
});
afterAll(() => browser.close());
afterEach(async () => {
  expect(await closePage(opened)).toEqual([]);
});

const own = (change: Partial<WalletStatus> = {}): WalletStatus =>
  noWallet({ kind: 'own', address: ADDRESS, hasWords: true, payee: ADDRESS, ...change });

/** The Wallet page of an agent whose signer is this test. */
async function openWallet(status: WalletStatus, view: View = {}): Promise<SealReceiver> {
  opened = await openPage(browser, practising(), view);
  const signer = await createSealReceiver();
  opened.agent.wallet = status;
  opened.agent.overrides['wallet.begin'] = async () => ({ signerKey: signer.publicKey });
  // The page asked before the test had set the status.
  opened.agent.send({ event: 'wallet.changed', data: status });
  await opened.page.getByRole('link', { name: /^Wallet/ }).click();
  await opened.page.locator('.wallet').waitFor();
  return signer;
}

async function opensAs(signer: SealReceiver, act: WalletAct, sealed: Parameters<SealReceiver['open']>[0]): Promise<unknown> {
  return WALLET_SECRETS[act].parse(await signer.open(sealed, sealPurpose(act)));
}

test('secrets leave the page sealed: what the agent sees of a new wallet holds no password and no word', async () => {
  const signer = await openWallet(noWallet());
  const { page, agent } = opened;
  agent.overrides['wallet.create'] = async ({ sealed }) => {
    const { password, replyKey } = (await opensAs(signer, 'create', sealed)) as { password: string; replyKey: string };
    expect(password).toBe(PASSWORD);
    return {
      status: own({ unlocked: true, locksAt: 1, backedUp: false }),
      sealed: await seal(replyKey, replyPurpose('create'), { words: WORDS, ask: [1, 6, 12] }),
    };
  };
  agent.overrides['wallet.confirm'] = async ({ sealed }) => {
    expect(await opensAs(signer, 'confirm', sealed)).toEqual({ words: ['legal', 'sausage', 'yellow'] });
    return own({ unlocked: true, locksAt: 1 });
  };
  await page.getByLabel('New password').fill(PASSWORD);
  await page.getByLabel('The same again').fill('lantern over the hall');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').getByText('differ').waitFor();
  await page.getByLabel('The same again').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Write these down' }).waitFor();
  expect(await page.locator('.words li').allTextContents()).toEqual(WORDS);
  await page.getByRole('button', { name: 'I have written them down' }).click();
  expect(await page.locator('body').textContent()).not.toContain('sausage');
  for (const [number, word] of [
    [1, 'legal'],
    [6, 'sausage'],
    [12, 'yellow'],
  ] as const)
    await page.getByLabel(`Word ${number}`, { exact: true }).fill(word);
  await page.keyboard.press('Enter');
  await page.getByText('Backed up', { exact: true }).waitFor();
  const seen = JSON.stringify(agent.calls);
  expect([PASSWORD, 'sausage', 'yellow'].filter((secret) => seen.includes(secret))).toEqual([]);
  expect(await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]))).not.toContain('lantern');
});

test('words that were shown are gone when somebody leaves the page, and come back only for the password', async () => {
  const signer = await openWallet(own({ backedUp: false }));
  const { page, agent } = opened;
  agent.overrides['wallet.reveal'] = async ({ sealed }) => {
    const { replyKey, what } = (await opensAs(signer, 'reveal', sealed)) as { replyKey: string; what: string };
    expect(what).toBe('words');
    return { status: own({ backedUp: false }), sealed: await seal(replyKey, replyPurpose('reveal'), { words: WORDS, ask: [1, 2, 3] }) };
  };
  await page.getByRole('button', { name: 'Show the recovery words' }).click();
  const backUp = page.getByRole('region', { name: 'Back-up' });
  await backUp.getByRole('button', { name: 'Show the recovery words' }).click();
  await backUp.getByRole('alert').getByText('Type the password first').waitFor();
  await backUp.getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'Write these down' }).waitFor();
  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByRole('link', { name: /^Wallet/ }).click();
  await page.getByText('Not backed up yet').waitFor();
  expect(await page.locator('.words').count()).toBe(0);
});

test('a wallet is brought along by a keystore file, and what is wrong with it is said in the form', async () => {
  const signer = await openWallet(noWallet());
  const { page, agent } = opened;
  let tries = 0;
  agent.overrides['wallet.import'] = async ({ sealed }) => {
    tries += 1;
    expect(await opensAs(signer, 'import', sealed)).toMatchObject({
      from: { kind: 'keystore', json: '{"version":3}', password: 'old one' },
    });
    if (tries === 1) throw new HearthlendError('WALLET_SECRET_INVALID');
    return own();
  };
  await page.getByText('Bring one along').click();
  await page.getByText('Keystore file', { exact: true }).click();
  await page
    .getByLabel('Keystore file (JSON)')
    .setInputFiles({ name: 'mine.json', mimeType: 'application/json', buffer: Buffer.from('{"version":3}') });
  await page.getByLabel('Password of that file').fill('old one');
  await page.getByLabel('New password').fill(PASSWORD);
  await page.getByLabel('The same again').fill(PASSWORD);
  await page.getByRole('button', { name: 'Bring it along' }).click();
  await page.getByRole('alert').getByText('no recovery words, private key or keystore').waitFor();
  await page.getByRole('button', { name: 'Bring it along' }).click();
  await page.getByRole('heading', { level: 1, name: 'You are paid here' }).waitFor();
});

test('an address elsewhere is watched and let go, and says from when on it counts', async () => {
  await openWallet(noWallet());
  const { page, agent } = opened;
  const watched = noWallet({ kind: 'watch', address: ADDRESS });
  agent.overrides['wallet.watch'] = async ({ address }) => {
    if (address === null) return noWallet();
    if (address !== ADDRESS) throw new HearthlendError('WALLET_ADDRESS_INVALID', { address, detail: 'it is not 0x and 40 hex digits' });
    return watched;
  };
  await page.getByText('Only an address').click();
  await page.getByLabel('Address', { exact: true }).fill('0x12');
  await page.getByRole('button', { name: 'Be paid there' }).click();
  await page.getByRole('alert').getByText('40 hex digits').waitFor();
  await page.getByLabel('Address', { exact: true }).fill(ADDRESS);
  await page.getByRole('button', { name: 'Be paid there' }).click();
  await page.getByRole('heading', { level: 1, name: 'You are paid elsewhere' }).waitFor();
  await page.getByText('From the next start on. Until then receipts name 0x1111…1111.').waitFor();
  await page.getByRole('button', { name: 'No longer be paid there' }).click();
  await page.getByRole('heading', { level: 1, name: 'No wallet yet' }).waitFor();
});

test('the lock is to be seen on every page, and a process that could reach the network is named', async () => {
  const reason = { key: 'isolation.windows', params: {} } as const;
  await openWallet(own({ unlocked: true, locksAt: Date.now() + 60_000, offline: { sealed: false, reason } }));
  const { page, agent } = opened;
  await page.getByText('could reach the network on this PC: Windows has no wall').waitFor();
  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByRole('link', { name: 'Wallet unlocked' }).waitFor();
  agent.send({ event: 'wallet.changed', data: own() });
  await page.getByRole('link', { name: 'Wallet locked' }).waitFor();
});

test('a wallet that cannot be read is said to be so, and the other pages go on', async () => {
  opened = await openPage(browser, practising());
  const { page, agent } = opened;
  agent.overrides['wallet.status'] = () =>
    Promise.reject(new HearthlendError('KEYSTORE_INVALID', { path: '/data/wallet/keystore.json', detail: 'it is damaged' }));
  // A page that is still on its way in has no token to come back with.
  await page.getByRole('heading', { level: 1, name: 'Working' }).waitFor();
  await page.reload();
  await page.getByRole('link', { name: 'Wallet', exact: true }).click();
  await page.getByRole('heading', { level: 1, name: "can't be read" }).waitFor();
  await page.getByText('/data/wallet/keystore.json').waitFor();
  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByRole('heading', { level: 1, name: 'Working' }).waitFor();
});

test.each([320, 1280])('nothing reaches out of the page at %i pixels, in any state', async (width) => {
  await openWallet(noWallet(), { width });
  const { page, agent } = opened;
  const reachesOut = () => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  expect(await reachesOut()).toBe(0);
  await page.getByText('Bring one along').click();
  expect(await reachesOut()).toBe(0);
  for (const status of [own({ backedUp: false }), own({ unlocked: true, locksAt: 1 }), noWallet({ kind: 'watch', address: ADDRESS })]) {
    agent.send({ event: 'wallet.changed', data: status });
    await page.getByRole('heading', { level: 1, name: status.kind === 'own' ? 'You are paid here' : 'You are paid elsewhere' }).waitFor();
    expect(await reachesOut()).toBe(0);
  }
});
