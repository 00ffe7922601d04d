import type { Browser } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { TransactionRecord } from '../../core/contract/chain.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { type NetworkCredit, TransactionRow } from '../../core/contract/payments.ts';
import { createSealReceiver, type SealReceiver, seal } from '../../core/contract/seal.ts';
import { replyPurpose, sealPurpose, WALLET_SECRETS, type WalletAct } from '../../core/contract/signer.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { practising } from '../fakes/snapshots.ts';
import { noIdentity, noWallet } from '../fakes/wallet.ts';
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

const CHAIN = { chainId: 31_337, name: 'Local chain', symbol: 'OPEN', explorer: null, confirmations: 4, tokens: [], test: true, head: 12 };
const NATIVE = 'eip155:31337/slip44:60';
const GAS = `0x${'6'.repeat(40)}`;
const UNIT = '000000000000000000';
const owedBy = (change: Partial<NetworkCredit> = {}): NetworkCredit => ({
  ...{ network: 'studio', asset: NATIVE, symbol: 'OPEN', decimals: 18, chainId: 31_337, contract: GAS, payer: GAS },
  ...{ accepted: `9${UNIT}`, promised: `7${UNIT}`, paid: `2${UNIT}`, short: '0', unvouched: '0', withheldSince: null },
  ...{ secured: '0', payable: `5${UNIT}`, exposure: `7${UNIT}`, limit: null, stopped: null, trouble: null, checkedAt: 1 },
  ...change,
});
const sent = {
  ...{ chainId: 31_337, kind: 'claim', subject: `0x${'8'.repeat(64)}`, from: GAS, nonce: 0, hashes: [`0x${'a'.repeat(64)}`] },
  ...{ maxFeePerGas: '1', maxPriorityFeePerGas: '1', gasLimit: 21_000, sentAt: 1, replacedAt: null, state: 'pending', block: null },
};
const sentFrom = (change: Partial<TransactionRow>): TransactionRow =>
  TransactionRow.parse({ ...sent, asset: null, amount: null, ...change });

test('a claim says its fees first and what arrives, also where it is not worth it; what is under way is told to its end', async () => {
  const status = own();
  await openWallet(status, { width: 420 });
  const { page, agent } = opened;
  let claimed = 0;
  agent.overrides['payments.plan'] = async () => ({
    ...{ network: 'studio', costs: '123456789000000', gasAddress: GAS, gasBalance: '1', symbol: 'OPEN' },
    ...{ parts: [{ payee: ADDRESS, asset: NATIVE, pays: `5${UNIT}`, owed: `1${UNIT}` }], verdict: 'under-least' },
  });
  agent.overrides['payments.claim'] = async () => {
    claimed += 1;
    throw new HearthlendError('GAS_FUNDS_SHORT', { address: GAS, balance: '1', cost: '123456789000000' });
  };
  agent.overrides['payments.balances'] = () =>
    Promise.reject(new HearthlendError('CHAIN_UNREACHABLE', { chain: 'Local chain', detail: 'x' }));
  const tell = (transactions: TransactionRow[], networks = [owedBy({ short: '3' })]) => {
    agent.payments = { networks, gasKey: { address: GAS, capPerDay: '1' }, gasKeyTrouble: null, chains: [CHAIN], transactions };
    agent.send({ event: 'payments.changed', data: {} });
  };
  tell([]);
  await page.getByText('5.00 OPEN promised, and not paid yet').waitFor();
  await page.getByText('less than your receipts').waitFor();
  await page.getByText('Local chain could not be reached').waitFor();
  await page.getByRole('button', { name: 'What would a claim bring?' }).click();
  const owed = page.getByRole('region', { name: 'Owed by studio' });
  // Rounded up: never more than was read.
  await owed.getByText('at most 0.000124 OPEN').waitFor();
  await owed.getByText('5 OPEN').first().waitFor();
  await owed.getByText('1 OPEN stays owed').waitFor();
  await owed.getByText('Not worth it yet').waitFor();
  await owed.getByText('too little for the fees').waitFor();
  await owed.getByRole('button', { name: 'Claim all the same' }).click();
  await owed.getByRole('alert').getByText('for fees where').waitFor();
  expect(claimed).toBe(1);
  expect(await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth)).toBe(0);

  const block = { number: 11, hash: `0x${'b'.repeat(64)}` };
  for (const [change, words] of [
    [{}, 'in no block yet'],
    [{ replacedAt: 2, hashes: [`0x${'a'.repeat(64)}`, `0x${'c'.repeat(64)}`] }, 'sent it anew for higher fees (once)'],
    [{ state: 'mined', block }, '2 of 4 confirmations'],
    [{ replacedAt: 2 }, 'dropped the block'],
    [{ state: 'failed', block }, 'Only fees were paid'],
    [{ state: 'displaced' }, 'another transaction took its place'],
    [{ state: 'final', block }, 'Arrived.'],
  ] as const) {
    tell([sentFrom(change as Partial<TransactionRow>)]);
    await page.getByText(words).waitFor();
  }
});

test('a send is shown as the signer reads it and goes out by the password over just that; a swapped address never does, a look-alike only on purpose', async () => {
  const status = own({ unlocked: true, locksAt: 1 });
  const signer = await openWallet(status);
  const { page, agent } = opened;
  const TO = '0x70997970C51812dc3A010C7d01b50e0d17dc79C8';
  const alike = '0x70990000000000000000000000000000000079c8';
  const seen = `0x${'5'.repeat(64)}`;
  let signs = TO;
  let known: string | null = null;
  agent.payments = { networks: [], gasKey: null, gasKeyTrouble: null, chains: [CHAIN], transactions: [] };
  agent.overrides['wallet.limits'] = async () => [{ asset: NATIVE, perDay: `2${UNIT}`, spent: '0' }];
  agent.overrides['payments.send-plan'] = async ({ to }) => ({
    ...{ chainId: 31_337, from: ADDRESS, to, amount: `1${UNIT}`, asset: NATIVE, symbol: 'OPEN', decimals: 18 },
    ...{ costs: '21000', costsSymbol: 'OPEN', contact: null, sentBefore: false, alike: known, seen },
    words: { key: 'signer.send-native', params: { to: signs, chainId: '31337', amount: '1' } },
  });
  const approved: unknown[] = [];
  agent.overrides['approved.send'] = async ({ sealed, ...confirmed }) => {
    approved.push(confirmed, await opensAs(signer, 'approve', sealed));
    return TransactionRecord.parse({ ...sent, subject: TO });
  };
  agent.send({ event: 'payments.changed', data: {} });
  const send = page.getByRole('region', { name: 'Send' });
  const plan = async (to: string) => {
    await send.getByLabel('To', { exact: true }).fill(to);
    await send.getByLabel('How much (OPEN)').fill('1,0');
    await send.getByRole('button', { name: 'What would that cost?' }).click();
    await send.getByText('The wallet reads').waitFor();
  };
  signs = alike;
  await plan(TO);
  await send.getByRole('alert').getByText('names another address').waitFor();
  expect(await send.getByRole('button', { name: 'Send it' }).count()).toBe(0);
  await send.getByRole('button', { name: 'Change it' }).click();

  [signs, known] = [TO, alike];
  await plan(TO);
  await send.getByText(`to ${TO}.`).waitFor();
  // Groups that differ, whatever their capitals.
  expect(await send.locator('.differs').count()).toBe(8);
  const press = async () => {
    await send.getByLabel('Password').fill(PASSWORD);
    await page.keyboard.press('Enter');
  };
  await press();
  await send.getByRole('alert').getByText('Compare the whole address first').waitFor();
  await send.getByLabel('I have compared all of it').check();
  await press();
  await send.getByRole('alert').getByText('you want the other address').waitFor();
  await send.getByLabel('It is another one').check();
  expect(approved).toEqual([]);
  await press();
  await send.getByText('Sent. It counts once').waitFor();
  expect(approved).toEqual([
    { chainId: 31_337, to: TO, amount: '1.0', asset: null, seen, costs: '21000', newAddress: true },
    { password: PASSWORD, seen },
  ]);
  expect(JSON.stringify(agent.calls)).not.toContain(PASSWORD);
});

test('the lock is turned from any page; who is paid is signed for here, or by a wallet elsewhere', async () => {
  const signer = await openWallet(own());
  const { page, agent } = opened;
  const claim = { kind: 'revocation', revocation: { wallet: ADDRESS, worker: GAS, nonce: 7 } } as const;
  const delegation = {
    wallet: ADDRESS,
    worker: GAS,
    networkKey: `0x${'0'.repeat(40)}`,
    scope: 'earn',
    notBefore: 1,
    expiry: 2e9,
    nonce: 6,
  } as const;
  const identity = { ...noIdentity(), wallet: 'own', delegation: { delegation, signature: '0xab' } } as const;
  agent.overrides['identity.show'] = async () => identity;
  agent.overrides['identity.prepare'] = async () => claim;
  agent.overrides['identity.describe'] = async () => ({
    words: { key: 'signer.revoke', params: { worker: GAS, nonce: '7' } },
    seen: `0x${'5'.repeat(64)}`,
  });
  agent.overrides['approved.sign'] = async ({ sealed }) => {
    expect(await opensAs(signer, 'approve', sealed)).toEqual({ password: PASSWORD, seen: `0x${'5'.repeat(64)}` });
    return { ...identity, delegation: null, revocations: [{ revocation: claim.revocation, signature: '0xab' }] };
  };
  agent.overrides['wallet.unlock'] = async ({ sealed }) => {
    expect(await opensAs(signer, 'unlock', sealed)).toEqual({ password: PASSWORD });
    return own({ unlocked: true, locksAt: 1 });
  };
  agent.overrides['wallet.lock'] = async () => own();
  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByRole('button', { name: 'Open the wallet' }).click();
  await page.getByRole('dialog').getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await page.getByRole('link', { name: 'Wallet unlocked' }).click();
  const who = page.getByRole('region', { name: 'Who is paid' });
  await who.getByRole('button', { name: 'Take it back' }).click();
  await who.getByText(`Take back that the worker ${GAS} earns`).waitFor();
  await who.getByLabel('Password').fill(PASSWORD);
  await page.keyboard.press('Enter');
  await who.getByText('taken back', { exact: true }).waitFor();
  agent.send({ event: 'payments.changed', data: {} });
  await who.getByRole('button', { name: 'Sign it anew' }).waitFor();
  // Being paid elsewhere: not where something on the way put another address.
  agent.overrides['identity.prepare'] = async () => ({
    kind: 'payee',
    change: { wallet: ADDRESS, worker: GAS, networkKey: `0x${'0'.repeat(40)}`, payee: GAS, nonce: 8 },
  });
  agent.overrides['identity.describe'] = async () => ({
    words: { key: 'signer.payee', params: { worker: GAS, payee: GAS, anywhere: 'yes', network: '', nonce: '8' } },
    seen: `0x${'5'.repeat(64)}`,
  });
  await who.getByText('Be paid at another address').click();
  await who.getByLabel('The new address').fill(ADDRESS);
  await page.keyboard.press('Enter');
  await who.getByRole('alert').getByText('names another address').waitFor();
  expect(await who.getByLabel('Password').count()).toBe(0);
  agent.overrides['identity.prepare'] = async () => claim;
  await page.getByRole('link', { name: 'Home' }).click();
  await page.getByRole('button', { name: 'Lock the wallet' }).click();
  await page.getByRole('button', { name: 'Open the wallet' }).waitFor();

  agent.overrides['identity.typed-data'] = async () => ({ json: '{"domain":{}}' });
  const signature = `0x${'ab'.repeat(65)}`;
  agent.overrides['identity.keep'] = async (kept) => {
    expect(kept).toEqual({ claim, signature });
    return { ...identity, delegation: null };
  };
  agent.send({ event: 'wallet.changed', data: noWallet({ kind: 'watch', address: ADDRESS, payee: ADDRESS }) });
  await page.getByRole('link', { name: /^Wallet/ }).click();
  await who.getByRole('button', { name: 'Take it back' }).click();
  await who.getByText('{"domain":{}}').waitFor();
  await who.getByLabel('Signature').fill('0xnothing');
  await page.keyboard.press('Enter');
  await who.getByRole('alert').getByText('hexadecimal').waitFor();
  await who.getByLabel('Signature').fill(signature.toUpperCase().replace('0X', '0x'));
  await page.keyboard.press('Enter');
  await who.getByText('not signed').waitFor();
});
