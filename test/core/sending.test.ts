import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getAddress, Wallet } from 'ethers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { approvedHandlers } from '../../core/approved.ts';
import { balanceHandlers } from '../../core/balances.ts';
import type { ChainConfig } from '../../core/contract/chain.ts';
import { formatBaseUnits, parseBaseUnits } from '../../core/contract/money.ts';
import type { Sealed } from '../../core/contract/seal.ts';
import { assetNamed, contactSeen } from '../../core/contract/sending.ts';
import { identityHandlers } from '../../core/identities.ts';
import { openTransactionRecords } from '../../core/payment-records.ts';
import { openSending } from '../../core/sending.ts';
import { lookAlike } from '../../core/settlement/look-alike.ts';
import { openChainRpc } from '../../core/settlement/rpc.ts';
import { type Chain, noAnvil, startChain } from '../anvil.ts';
import { openBench, PASSWORD, refusal, temporaryFolder } from './wallet/workbench.ts';

const RECEIVER = new Wallet(`0x${'4d'.repeat(32)}`).address;
const KEY = `0x${'4c'.repeat(32)}`;
const TEN_TO_18 = 10n ** 18n;

describe.skipIf(noAnvil !== null)('money that leaves the wallet', () => {
  let chain: Chain;
  let config: ChainConfig;
  beforeAll(async () => {
    chain = await startChain();
    config = {
      ...{ chainId: chain.chainId, name: 'Here', rpc: [chain.url], explorer: null, symbol: 'ETH', confirmations: 2 },
      ...{ tokens: [], escrow: null, test: true },
    };
  });
  afterAll(() => chain?.stop());

  /** A wallet with its real signer, an own data folder, and what was sent to it. */
  async function open() {
    const bench = await openBench();
    await bench.import({ kind: 'key', key: KEY });
    const { address } = new Wallet(KEY);
    await chain.rpc('anvil_setBalance', address, `0x${(3n * TEN_TO_18).toString(16)}`);
    const dataDir = temporaryFolder();
    const records = openTransactionRecords(join(dataDir, 'payments'));
    const rpc = openChainRpc(config);
    const parts = { dataDir, payments: { chain: () => rpc, records }, wallet: bench.wallet, clock: Date.now, log: () => undefined };
    const sending = openSending(parts);
    onTestFinished(() => sending.close());
    const limit = async (perDay: string) =>
      bench.wallet.limit(await bench.sealed('limit', { password: PASSWORD, asset: assetNamed(config, null).asset, perDay }));
    const identities = identityHandlers({
      dataDir,
      worker: RECEIVER,
      wallet: bench.wallet,
      clock: Date.now,
      tellNetworks: () => undefined,
    });
    const approved = approvedHandlers({ wallet: bench.wallet, sending, identities });
    const balances = balanceHandlers({ payments: { chain: () => rpc, gasAddress: () => RECEIVER }, wallet: bench.wallet });
    return { ...sending, bench, records, dataDir, address, limit, identities, approved, balances };
  }
  type Opened = Awaited<ReturnType<typeof open>>;

  const request = (to = RECEIVER, amount = '1.25') => ({ chainId: config.chainId, to, amount, asset: null });
  const plan = ({ handlers }: Opened, ...what: Parameters<typeof request>) => handlers['payments.send-plan'](request(...what));
  const send = ({ handlers }: Opened, offer: { seen: string; costs: string }, ...what: Parameters<typeof request>) =>
    handlers['payments.send']({ ...request(...what), seen: offer.seen, costs: offer.costs, newAddress: false });

  test('is planned with its fees first, confirmed by what the signer reads, arrives once and is followed to its end', async () => {
    const opened = await open();
    const offer = await plan(opened);
    expect(offer).toMatchObject({
      to: RECEIVER,
      amount: '1250000000000000000',
      symbol: 'ETH',
      contact: null,
      sentBefore: false,
      alike: null,
    });
    expect(offer.words).toEqual({ key: 'signer.send-native', params: { to: RECEIVER, chainId: '31337', amount: '1.25' } });
    // Nothing at all leaves before the password has said how much may.
    expect(await refusal(send(opened, offer))).toBe('SPEND_LIMIT_REACHED');
    await opened.limit((2n * TEN_TO_18).toString());
    // Another receiver or amount under what was confirmed: an address that was swapped on the way.
    expect(await refusal(send(opened, offer, opened.address))).toBe('TRANSACTION_REFUSED');
    expect(await refusal(send(opened, offer, RECEIVER, '1.26'))).toBe('TRANSACTION_REFUSED');
    const before = await chain.provider.getBalance(RECEIVER);
    const sent = await send(opened, offer);
    expect(sent).toMatchObject({ kind: 'send', subject: RECEIVER, from: opened.address, state: 'pending' });
    expect((await chain.provider.getBalance(RECEIVER)) - before).toBe(1_250_000_000_000_000_000n);
    await chain.pass(1);
    await opened.tend();
    expect(opened.records.all()).toMatchObject([{ state: 'final' }]);
    const again = await plan(opened);
    expect(again.sentBefore).toBe(true);
    expect(await refusal(send(opened, again))).toBe('SPEND_LIMIT_REACHED');
    expect(await refusal(plan(opened, RECEIVER, '3'))).toBe('FUNDS_SHORT');
    expect((await chain.provider.getBalance(RECEIVER)) - before).toBe(1_250_000_000_000_000_000n);
  });

  test('goes to an address with its checksum or to a contact, not to one that only looks like it, and not from a locked wallet', async () => {
    const opened = await open();
    const { handlers } = opened;
    for (const wrong of [RECEIVER.toLowerCase(), `0x${RECEIVER.slice(2).toUpperCase()}`, RECEIVER.slice(0, -1)]) {
      expect(await refusal(plan(opened, wrong))).toBe('WALLET_ADDRESS_INVALID');
      expect(await refusal(handlers['payments.contact-put']({ name: 'Ada', address: wrong }))).toBe('WALLET_ADDRESS_INVALID');
    }
    await handlers['payments.contact-put']({ name: 'Ada', address: RECEIVER });
    expect(await plan(opened, 'ada')).toMatchObject({ to: RECEIVER, contact: 'Ada', alike: null });
    expect(await refusal(plan(opened, 'Bob'))).toBe('CONTACT_UNKNOWN');
    expect(statSync(join(opened.dataDir, 'payments/contacts.json')).mode & 0o777).toBe(0o600);
    expect(JSON.parse(readFileSync(join(opened.dataDir, 'payments/contacts.json'), 'utf8'))).toEqual([{ name: 'Ada', address: RECEIVER }]);

    const alike = getAddress(`${RECEIVER.slice(0, 6)}${'0'.repeat(32)}${RECEIVER.slice(-4)}`);
    const offer = await plan(opened, alike, '0.1');
    expect(offer.alike).toBe(RECEIVER);
    await opened.limit(TEN_TO_18.toString());
    expect(await refusal(send(opened, offer, alike, '0.1'))).toBe('SEND_LOOKS_ALIKE');
    await handlers['payments.send']({ ...request(alike, '0.1'), seen: offer.seen, costs: offer.costs, newAddress: true });
    expect(await chain.provider.getBalance(alike)).toBe(TEN_TO_18 / 10n);

    await handlers['payments.contact-remove']({ name: 'ADA' });
    expect(await handlers['payments.contacts']({})).toEqual([]);
    await opened.bench.wallet.lock();
    expect(await refusal(plan(opened))).toBe('WALLET_LOCKED');
  });

  test('that stands open gives a page nothing without the password: for what was shown, once, and not for anything else', async () => {
    const opened = await open();
    const { approved, bench, identities } = opened;
    const offer = await plan(opened);
    await opened.limit((2n * TEN_TO_18).toString());
    const approval = (seen: string, password = PASSWORD) => bench.sealed('approve', { password, seen });
    const sendBy = (sealed: Sealed, seen = offer.seen) =>
      approved['approved.send']({ ...request(), seen, costs: offer.costs, newAddress: false, sealed });
    const other = `0x${'7'.repeat(64)}`;
    expect(await refusal(sendBy(await approval(offer.seen, 'not the password at all')))).toBe('WALLET_PASSWORD_WRONG');
    // Typed for one thing, taken for another.
    expect(await refusal(sendBy(await approval(other)))).toBe('TRANSACTION_REFUSED');
    expect(await refusal(sendBy(await bench.sealed('unlock', { password: PASSWORD })))).toBe('SEAL_INVALID');
    expect(opened.records.all()).toEqual([]);
    const sealed = await approval(offer.seen);
    expect(await sendBy(sealed)).toMatchObject({ kind: 'send', subject: RECEIVER });
    expect(await refusal(sendBy(sealed))).toBe('SEAL_INVALID');
    expect(opened.records.all().length).toBe(1);
    const [limit] = bench.wallet.limits();
    expect(limit).toMatchObject({ asset: `eip155:${config.chainId}/slip44:60`, perDay: '2000000000000000000' });
    expect(BigInt(limit?.spent ?? 0)).toBeGreaterThan(1_250_000_000_000_000_000n);

    const claim = await identities['identity.prepare']({ kind: 'delegation', networkKey: null, days: 30 });
    const { seen } = await identities['identity.describe']({ claim });
    await bench.wallet.lock();
    const contact = { name: 'Ada', address: RECEIVER };
    const put = await contactSeen('put', contact);
    expect(await refusal(approved['approved.contact']({ change: 'remove', contact, sealed: await approval(put) }))).toBe(
      'TRANSACTION_REFUSED',
    );
    expect(await approved['approved.contact']({ change: 'put', contact, sealed: await approval(put) })).toEqual(contact);
    const signed = await approved['approved.sign']({ claim, seen, sealed: await approval(seen) });
    expect(signed).toMatchObject({ delegation: { delegation: { worker: RECEIVER, wallet: opened.address } }, fault: null });
    // It was locked before, and is again.
    expect(bench.wallet.status().unlocked).toBe(false);

    expect(await opened.balances['payments.balances']({ chainId: config.chainId })).toMatchObject({
      address: opened.address,
      assets: [{ symbol: 'ETH', decimals: 18, amount: (await chain.provider.getBalance(opened.address)).toString() }],
      gas: (await chain.provider.getBalance(RECEIVER)).toString(),
    });
  });
});

test('an address that begins and ends as a known one is told from it, whatever lies between', () => {
  const hex = fc.uint8Array({ minLength: 20, maxLength: 20 }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`);
  fc.assert(
    fc.property(hex, hex, (known, other) => {
      const poisoned = `${known.slice(0, 6)}${other.slice(6, -4)}${known.slice(-4)}`;
      expect(lookAlike(poisoned.toUpperCase().replace('0X', '0x'), [other, known])).toBe(poisoned === known ? null : known);
      expect(lookAlike(known, [poisoned, known])).toBe(null);
    }),
  );
});

test('what is typed as an amount is read back to the last unit, and nothing else is an amount', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }), fc.nat({ max: 36 }), (amount, decimals) => {
      expect(parseBaseUnits(formatBaseUnits(amount, decimals), decimals)).toBe(amount);
    }),
  );
  for (const text of ['', '.5', '1.', '1,5', '-1', '1e3', '0x10', '1.0000001', `${2n ** 256n}`]) expect(parseBaseUnits(text, 6)).toBe(null);
});
