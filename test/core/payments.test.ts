import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { type Contract, computeAddress, SigningKey, Wallet } from 'ethers';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { ChainConfig } from '../../core/contract/chain.ts';
import type { HearthlendError } from '../../core/contract/errors.ts';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import { NetworkChoices } from '../../core/contract/networks.ts';
import { ClaimSettings } from '../../core/contract/payments.ts';
import { hashReceipt } from '../../core/contract/receipt-hash.ts';
import { assetOf, NATIVE_TOKEN, type OfferedVoucher, type Voucher } from '../../core/contract/voucher.ts';
import { voucherDigest } from '../../core/contract/voucher-hash.ts';
import { vouchersFor } from '../../core/contract/vouching.ts';
import type { Ledger } from '../../core/ledger/ledger.ts';
import { openPayments, type Payments } from '../../core/payments.ts';
import type { ConnectedNetwork } from '../../core/work/ports.ts';
import { type Chain, escrowArtifact, noAnvil, startChain } from '../anvil.ts';
import { accepted, batched, openScene, receiptFor, submittedShard, WORKER } from './ledger/scene.ts';

const NETWORK = 'local';
const PAYEE = WORKER.address;

describe.skipIf(noAnvil !== null)('what a network owes', () => {
  let chain: Chain;
  let escrow: Contract;
  let contract = '';
  let config: ChainConfig;
  let ledger: Ledger;
  let path = '';
  let payments: Payments;
  let terms: NetworkTerms;
  let choices = NetworkChoices.parse({});
  let claims = ClaimSettings.parse({});
  let now = 0;
  let suspended: HearthlendError | null = null;
  let offers: OfferedVoucher[] = [];
  const coordinator = new SigningKey(`0x${'0c'.repeat(32)}`);
  const payer = () => chain.account(1);

  beforeAll(async () => {
    chain = await startChain();
  });
  afterAll(() => chain?.stop());
  beforeEach(async () => {
    escrow = await chain.deploy(escrowArtifact(), [86_400]);
    contract = (await escrow.getAddress()).toLowerCase();
    config = {
      ...{ chainId: chain.chainId, name: 'Here', rpc: [chain.url], explorer: null, symbol: 'ETH', confirmations: 2 },
      ...{ tokens: [], escrow: contract, test: true },
    };
    terms = {
      ...{ id: NETWORK, operator: 'A studio', contact: '', rules: '', coordinator: computeAddress(coordinator) },
      ...{ asset: asset(), symbol: 'ETH', decimals: 18, prices: [], categories: [], isolation: ['os'], holdBackMs: 0 },
      settlement: { chainId: chain.chainId, contract, payer: payer().address, epochMs: 60_000 },
    };
    ({ ledger, path } = openScene());
    choices = NetworkChoices.parse({});
    claims = ClaimSettings.parse({});
    now = Date.now();
    suspended = null;
    offers = [];
    payments = openPayments({
      ...{ dataDir: dirname(path), ledger, worker: WORKER.address, payee: PAYEE },
      networks: () => [{ id: NETWORK, terms, choices, payees: [] }],
      settings: () => ({ chains: [config], claims }),
      suspend: (_, error) => {
        suspended = error;
      },
      clock: () => now,
      log: () => undefined,
      onChange: () => undefined,
    });
    payments.follow({
      info: { id: NETWORK },
      network: { vouchers: async (last: number) => offers.filter((offer) => offer.last > last), subscribe: () => () => undefined },
    } as unknown as ConnectedNetwork);
  });
  afterEach(async () => {
    await payments.close();
    ledger.close();
    rmSync(dirname(path), { recursive: true, force: true });
  });

  const asset = () => assetOf({ chainId: chain.chainId, contract }, NATIVE_TOKEN);
  const act = async (name: string, ...args: unknown[]) => {
    const sent = await (escrow.connect(payer()) as Contract).getFunction(name)(...args);
    await sent.wait();
  };
  const earn = (first: number, last: number) => {
    for (let number = first; number <= last; number += 1) {
      ledger.record(submittedShard(number, now + number, { asset: asset(), origin: 'network' }));
      ledger.record([accepted(receiptFor(ledger, number, { asset: asset(), time: Math.floor(now / 1000) }), now + number)]);
    }
    ledger.record([batched(ledger, first, last, now + last)]);
  };
  const offer = (first: number, last: number, change: Partial<Voucher> = {}, key = coordinator): void => {
    const domain = { chainId: chain.chainId, contract };
    const receipts = ledger.receiptsOf(NETWORK, first, last).map((receipt) => ({ receipt, hash: hashReceipt(receipt) }));
    const before = offers.at(-1)?.signed.voucher ?? null;
    const [made] = vouchersFor({ domain, payer: payer().address, worker: WORKER.address }, receipts, () => before);
    const voucher = { ...(made as Voucher), ...change };
    const signature = key.sign(voucherDigest(domain, voucher)).serialized;
    offers.push({ first, last, signed: { domain, voucher, signature }, signer: computeAddress(key) });
  };
  const credit = async () => (await payments.handlers['payments.status']({})).networks[0];
  const blocks = async (count: number) => {
    for (let each = 0; each < count; each += 1) await chain.pass(1);
  };

  test('is promised by vouchers of a signer that the escrow knows, claimed by the gas key, and paid once the chain is sure; then the difference', async () => {
    await act('deposit', { value: 1000n });
    await act('authoriseSigner', computeAddress(coordinator));
    earn(1, 3);
    offer(1, 3);
    await payments.tend();
    expect(await credit()).toMatchObject({
      accepted: '90',
      promised: '90',
      paid: '0',
      payable: '90',
      secured: '0',
      exposure: '90',
      short: '0',
    });
    const plan = await payments.handlers['payments.plan']({ network: NETWORK });
    expect(plan).toMatchObject({ parts: [{ pays: '90', owed: '0' }], gasBalance: '0' });
    await expect(payments.handlers['payments.claim']({ network: NETWORK })).rejects.toMatchObject({ code: 'GAS_FUNDS_SHORT' });
    await chain.rpc('anvil_setBalance', plan.gasAddress, '0xde0b6b3a7640000');
    const balance = () => chain.provider.getBalance(PAYEE);
    const before = await balance();
    await payments.handlers['payments.claim']({ network: NETWORK });
    expect((await balance()) - before).toBe(90n);
    await payments.tend();
    expect(await credit()).toMatchObject({ paid: '0' });
    await blocks(2);
    await payments.tend();
    expect(await credit()).toMatchObject({ paid: '90', exposure: '0', payable: '0' });

    earn(4, 4);
    offer(4, 4);
    // Once more, and without being asked.
    claims = ClaimSettings.parse({ automatic: true, maxFeeBasisPoints: 10_000, least: [{ asset: asset(), amount: '31' }] });
    await payments.tend();
    expect((await balance()) - before).toBe(90n);
    claims = ClaimSettings.parse({ automatic: true, maxFeeBasisPoints: 10_000, least: [{ asset: asset(), amount: '1000' }] });
    await payments.handlers['payments.claim']({ network: NETWORK });
    await blocks(2);
    await payments.tend();
    expect((await balance()) - before).toBe(120n);
    expect(await credit()).toMatchObject({ promised: '120', paid: '120' });
    const status = await payments.handlers['payments.status']({});
    expect(status.transactions.map(({ state, amount }) => [state, amount])).toEqual([
      ['final', '30'],
      ['final', '90'],
    ]);
    expect(status).toMatchObject({
      gasKey: { address: plan.gasAddress },
      gasKeyTrouble: null,
      chains: [{ chainId: chain.chainId, name: 'Here' }],
    });
    expect(status.chains[0]?.head).toBe(await chain.provider.getBlockNumber());
    expect((await ledger.verify()).problems).toEqual([]);
  });

  test('stops the work where it is past the limit that the user gave, says by how much, and goes on when it is secured', async () => {
    choices = NetworkChoices.parse({ creditLimit: '50' });
    earn(1, 2);
    await payments.tend();
    expect(payments.refusal(NETWORK)?.key).toBe('reason.over-credit');
    expect(await credit()).toMatchObject({ exposure: '60', unvouched: '60', withheldSince: null });
    now += 700_000;
    expect((await credit())?.withheldSince).not.toBe(null);
    await act('deposit', { value: 1000n });
    await act('earmark', WORKER.address, PAYEE, NATIVE_TOKEN, 40n);
    await payments.tend();
    expect(await credit()).toMatchObject({ secured: '40', exposure: '20', stopped: null });
    // What is being taken back secures nothing.
    await act('startRelease', WORKER.address, PAYEE, NATIVE_TOKEN, 30n);
    await payments.tend();
    expect(await credit()).toMatchObject({ secured: '10', exposure: '50', stopped: null });
    earn(3, 3);
    expect(await credit()).toMatchObject({ exposure: '80' });
    expect(payments.refusal(NETWORK)).not.toBe(null);
  });

  test('a short voucher is taken and the difference told; one that nobody may have signed, or that rewrites, is kept as evidence and ends the work', async () => {
    await act('authoriseSigner', computeAddress(coordinator));
    earn(1, 3);
    offer(1, 3, { cumulativeAmount: '80' });
    await payments.tend();
    expect(await credit()).toMatchObject({ promised: '80', short: '10', exposure: '90' });
    expect(suspended).toBe(null);
    earn(4, 4);
    offer(4, 4, {}, new SigningKey(Wallet.createRandom().privateKey));
    await payments.tend();
    expect(suspended).toMatchObject({ code: 'VOUCHER_INVALID' });
    expect(await credit()).toMatchObject({ promised: '80' });
    suspended = null;
    offers.pop();
    offer(4, 4, { receiptsRoot: `0x${'99'.repeat(32)}` });
    await payments.tend();
    expect(suspended).toMatchObject({ code: 'VOUCHER_INVALID' });
    suspended = null;
    offers.pop();
    offer(4, 4, { cumulativeAmount: '79' });
    await payments.tend();
    expect(suspended).toMatchObject({ code: 'VOUCHER_INVALID' });
    // The payer took the right to sign away, and its time is over.
    suspended = null;
    offers.pop();
    offer(4, 4);
    await act('revokeSigner', computeAddress(coordinator));
    now += 100 * 86_400_000;
    await payments.tend();
    expect(suspended).toMatchObject({ code: 'VOUCHER_INVALID' });
    expect(await credit()).toMatchObject({ promised: '80' });
    const db = new Database(path, { readonly: true });
    expect(db.prepare("SELECT count(*) FROM entries WHERE kind = 'voucher.refused'").pluck().get()).toBe(4);
    db.close();
  });

  test('a chain that can not be asked secures nothing, and says why', async () => {
    choices = NetworkChoices.parse({ creditLimit: '50' });
    earn(1, 2);
    config = { ...config, rpc: ['http://127.0.0.1:1/'] };
    await payments.tend();
    expect(await credit()).toMatchObject({ secured: null, payable: null, trouble: { key: 'CHAIN_UNREACHABLE' } });
    expect(payments.refusal(NETWORK)).not.toBe(null);
  });
});
