import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Contract, Transaction, Wallet } from 'ethers';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import type { ChainConfig, TransactionRecord } from '../../../core/contract/chain.ts';
import { FIRST_PREVIOUS_VOUCHER, NATIVE_TOKEN, type SignedVoucher, type Voucher } from '../../../core/contract/voucher.ts';
import { channelOf, VOUCHER_TYPES, voucherDomain } from '../../../core/contract/voucher-hash.ts';
import { planClaim, sendClaim } from '../../../core/settlement/claims.ts';
import type { Call } from '../../../core/settlement/fees.ts';
import { openGasKey } from '../../../core/settlement/gas-key.ts';
import { openChainRpc } from '../../../core/settlement/rpc.ts';
import { createSender, type TransactionRecords, type TransactionSigner } from '../../../core/settlement/sender.ts';
import { putFile } from '../../../core/wallet/durable.ts';
import { type Chain, escrowArtifact, noAnvil, startChain } from '../../anvil.ts';

const worker = `0x${'22'.repeat(20)}`;

/** Records in memory, as text: what is kept is what JSON carries. */
function memory(): TransactionRecords & { all(): TransactionRecord[] } {
  const kept = new Map<string, { record: string; call: Call }>();
  const key = (record: TransactionRecord) => `${record.chainId} ${record.from} ${record.nonce} ${record.sentAt}`;
  const all = () => [...kept.values()].map(({ record }) => JSON.parse(record) as TransactionRecord);
  return {
    all,
    open: () => all().filter(({ state }) => state === 'pending' || state === 'mined'),
    put: (record, call) => void kept.set(key(record), { record: JSON.stringify(record), call }),
    call: (record) => kept.get(key(record))?.call ?? null,
  };
}

/** An endpoint in front of the chain that changes what it says of some calls. */
async function liar(url: string, lies: Record<string, (truth: unknown, params: unknown[]) => unknown>): Promise<string> {
  const server = createServer(async (request, response) => {
    const body: Buffer[] = [];
    for await (const piece of request) body.push(piece as Buffer);
    const asked = JSON.parse(Buffer.concat(body).toString()) as { id: number; method: string; params: unknown[] };
    const answered = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(asked) });
    const truth = (await answered.json()) as { result?: unknown };
    const lie = lies[asked.method];
    response.end(JSON.stringify(lie === undefined ? truth : { jsonrpc: '2.0', id: asked.id, result: lie(truth.result, asked.params) }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe.skipIf(noAnvil !== null)('claims on a chain', () => {
  let chain: Chain;
  let escrow: Contract;
  let contract = '';
  let config: ChainConfig;
  let folder = '';
  let now = 1_800_000_000_000;

  beforeAll(async () => {
    chain = await startChain();
    escrow = await chain.deploy(escrowArtifact(), [86_400]);
    contract = (await escrow.getAddress()).toLowerCase();
    folder = mkdtempSync(join(tmpdir(), 'hearthlend-gas-'));
  });
  afterAll(async () => {
    await chain?.stop();
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    config = {
      ...{ chainId: chain.chainId, name: 'Here', rpc: [chain.url], explorer: null, symbol: 'ETH', confirmations: 3 },
      ...{ tokens: [], escrow: contract, test: true },
    };
  });

  const payer = () => chain.account(1);
  const domain = () => ({ chainId: chain.chainId, contract });
  const sign = async (change: Partial<Voucher> = {}, key: Pick<Wallet, 'signTypedData'> = payer()): Promise<SignedVoucher> => {
    const voucher: Voucher = {
      ...{ payer: payer().address, worker, payee: Wallet.createRandom().address, asset: NATIVE_TOKEN, epoch: 1 },
      ...{ previousVoucher: FIRST_PREVIOUS_VOUCHER, cumulativeAmount: '1000', receiptsRoot: `0x${'11'.repeat(32)}`, receiptCount: 1 },
      ...change,
    };
    return { domain: domain(), voucher, signature: await key.signTypedData(voucherDomain(domain()), VOUCHER_TYPES, voucher) };
  };
  const deposit = async (value: bigint) => {
    const sent = await (escrow.connect(payer()) as Contract).getFunction('deposit')({ value });
    await sent.wait();
  };
  const plainKey = (index: number): TransactionSigner => {
    const wallet = chain.account(index);
    return {
      address: wallet.address,
      sign: ({ chainId, nonce, to, data, value, ...fees }) =>
        wallet.signTransaction(Transaction.from({ type: 2, chainId, nonce, to, data, value, ...fees })),
    };
  };
  const gasKey = (cap = 10n ** 17n) =>
    openGasKey({
      path: join(folder, 'gas-key.json'),
      putNew: (path, text) => putFile(path, text, 'new'),
      capPerDay: () => cap,
      escrows: () => new Map([[chain.chainId, contract]]),
      clock: () => now,
    });
  const fundGas = (address: string) => chain.rpc('anvil_setBalance', address, '0xde0b6b3a7640000');
  const balance = (address: string) => chain.provider.getBalance(address);
  const codeOf = (call: Promise<unknown>) =>
    call.then(
      () => null,
      (error: { code?: string }) => error.code ?? String(error),
    );

  test('a claim says first what it costs and brings; sent by the gas key it arrives, and once more only the difference does', async () => {
    await deposit(5000n);
    const first = await sign();
    const key = gasKey();
    await fundGas(key.address);
    const rpc = openChainRpc(config);
    const records = memory();
    const sender = createSender(rpc, key, records, () => now);
    const plan = await planClaim(rpc, key.address, [first]);
    expect(plan.parts).toEqual([{ voucher: first, pays: 1000n, owed: 0n }]);
    expect(plan.costs > 0n).toBe(true);
    await sendClaim(sender, plan);
    expect(await balance(first.voucher.payee)).toBe(1000n);
    expect(await sender.advance()).toMatchObject([{ state: 'mined' }]);
    await chain.pass(1);
    await chain.pass(1);
    expect(await sender.advance()).toMatchObject([{ state: 'final', subject: channelOf(domain(), first.voucher) }]);
    expect(await codeOf(planClaim(rpc, key.address, [first]))).toBe('CLAIM_NOTHING');

    const second = await sign({ ...first.voucher, epoch: 2, cumulativeAmount: '1400' });
    await sendClaim(sender, await planClaim(rpc, key.address, [second]));
    expect(await balance(first.voucher.payee)).toBe(1400n);
    expect(statSync(join(folder, 'gas-key.json')).mode & 0o777).toBe(0o600);
  });

  test('several vouchers share what the payer has; what is not covered is named before anything is sent', async () => {
    const account = chain.account(6);
    const sent = await (escrow.connect(account) as Contract).getFunction('deposit')({ value: 1500n });
    await sent.wait();
    const vouchers = await Promise.all([1, 2, 3].map(() => sign({ payer: account.address }, account)));
    const rpc = openChainRpc(config);
    const plan = await planClaim(rpc, chain.account(5).address, vouchers);
    expect(plan.parts.map(({ pays, owed }) => [pays, owed])).toEqual([
      [1000n, 0n],
      [500n, 500n],
    ]);
    const sender = createSender(rpc, plainKey(5), memory(), () => now);
    await sendClaim(sender, plan);
    expect(await Promise.all(vouchers.map(({ voucher }) => balance(voucher.payee)))).toEqual([1000n, 500n, 0n]);
    expect(await codeOf(planClaim(rpc, chain.account(5).address, vouchers))).toBe('CLAIM_ESCROW_EMPTY');
  });

  test("a voucher by somebody who may not sign is refused by the contract's own reason, before anything is spent", async () => {
    await deposit(5000n);
    const forged = await sign({}, Wallet.createRandom());
    await expect(planClaim(openChainRpc(config), chain.account(5).address, [forged])).rejects.toMatchObject({
      code: 'CLAIM_VOUCHER_REFUSED',
      params: { reason: 'SignerUnknown' },
    });
  });

  test('the gas key signs claims of its escrow and nothing else, for a day’s cap and no more, and is refused where others can read it', async () => {
    const key = gasKey();
    const fees = { gasLimit: 100_000n, maxFeePerGas: 10n, maxPriorityFeePerGas: 1n };
    const claim = { chainId: chain.chainId, nonce: 0, to: contract, data: `${claimSelector()}00`, value: 0n, ...fees };
    await expect(key.sign(claim)).resolves.toMatch(/^0x02/);
    const others = [{ value: 1n }, { to: worker }, { chainId: 1 }, { data: '0xa9059cbb' }, { data: '0x' }];
    for (const change of others) expect(await codeOf(key.sign({ ...claim, ...change }))).toBe('TRANSACTION_REFUSED');
    const tight = gasKey(1_500_000n);
    await tight.sign(claim);
    // The same nonce again, for more: only one of them can be mined.
    await tight.sign({ ...claim, maxFeePerGas: 12n });
    expect(await codeOf(tight.sign({ ...claim, nonce: 1 }))).toBe('GAS_CAP_REACHED');
    now += 86_400_001;
    await tight.sign({ ...claim, nonce: 1 });

    const path = join(folder, 'exposed.json');
    writeFileSync(path, readFileSync(join(folder, 'gas-key.json')), { mode: 0o644 });
    const open = () => openGasKey({ path, putNew: () => false, capPerDay: () => 0n, escrows: () => new Map(), clock: () => now });
    expect(open).toThrow(/GAS_KEY_INVALID/);
    writeFileSync(path, '{"version":1,"address":"0x0","privateKey":"0x12"}', { mode: 0o600 });
    expect(open).toThrow(/GAS_KEY_INVALID/);
  });

  const claimSelector = () => escrow.interface.getFunction('claim')?.selector ?? '';

  test('a transaction that is stuck is sent anew under its nonce for more, and one of the two is mined', async () => {
    await deposit(5000n);
    const voucher = await sign();
    const rpc = openChainRpc(config);
    const records = memory();
    const sender = createSender(rpc, plainKey(5), records, () => now, { stuckMs: 60_000 });
    const plan = await planClaim(rpc, chain.account(5).address, [voucher]);
    await chain.rpc('evm_setAutomine', false);
    try {
      const sent = await sendClaim(sender, plan);
      expect(await sender.advance()).toEqual([]);
      now += 61_000;
      const [raised] = await sender.advance();
      expect(raised).toMatchObject({ nonce: sent.nonce, state: 'pending' });
      expect(raised?.hashes).toHaveLength(2);
      expect(BigInt(raised?.maxFeePerGas ?? 0) > BigInt(sent.maxFeePerGas)).toBe(true);
    } finally {
      await chain.rpc('evm_setAutomine', true);
    }
    await chain.rpc('evm_mine');
    expect(await sender.advance()).toMatchObject([{ state: 'mined' }]);
    expect(await balance(voucher.voucher.payee)).toBe(1000n);
  });

  test('a block that a reorganisation takes away takes the claim back to pending, and it is sent again', async () => {
    await deposit(5000n);
    const voucher = await sign();
    const rpc = openChainRpc(config);
    const sender = createSender(rpc, plainKey(5), memory(), () => now);
    const before = await chain.rpc('evm_snapshot');
    await sendClaim(sender, await planClaim(rpc, chain.account(5).address, [voucher]));
    expect(await sender.advance()).toMatchObject([{ state: 'mined' }]);
    await chain.rpc('evm_revert', before);
    expect(await balance(voucher.voucher.payee)).toBe(0n);
    expect(await sender.advance()).toMatchObject([{ state: 'pending', block: null }]);
    expect(await sender.advance()).toMatchObject([{ state: 'mined' }]);
    expect(await balance(voucher.voucher.payee)).toBe(1000n);
  });

  test('without money for fees, or over its limit, nothing is sent', async () => {
    await deposit(5000n);
    const rpc = openChainRpc(config);
    const poor = Wallet.createRandom();
    const key: TransactionSigner = { address: poor.address, sign: () => Promise.reject(new Error('not reached')) };
    const sender = createSender(rpc, key, memory(), () => now);
    const plan = await planClaim(rpc, chain.account(5).address, [await sign()]);
    expect(await codeOf(sendClaim(sender, plan))).toBe('GAS_FUNDS_SHORT');
    expect(
      await codeOf(
        sendClaim(
          createSender(rpc, plainKey(5), memory(), () => now),
          { ...plan, costs: 1n },
        ),
      ),
    ).toBe('GAS_CAP_REACHED');
  });

  test('an endpoint of another chain is named and passed over; where it is the only one nothing is done', async () => {
    const elsewhere = await liar(chain.url, { eth_chainId: () => '0x1' });
    await expect(openChainRpc({ ...config, rpc: [elsewhere] }).head()).rejects.toMatchObject({
      code: 'CHAIN_ID_WRONG',
      params: { found: '1', expected: chain.chainId },
    });
    expect(await openChainRpc({ ...config, rpc: [elsewhere, chain.url] }).head()).toBe(await chain.provider.getBlockNumber());
  });

  test('two endpoints that disagree on what a channel holds, or on what was mined, decide nothing', async () => {
    await deposit(5000n);
    const voucher = await sign();
    const rich = await liar(chain.url, { eth_call: (truth) => String(truth).replace(/^0x0{60}/, `0x${'0'.repeat(59)}1`) });
    const two = openChainRpc({ ...config, rpc: [rich, chain.url] });
    expect(await codeOf(planClaim(two, chain.account(5).address, [voucher]))).toBe('CHAIN_DISAGREES');

    // Blocks that only one of them has seen make nothing sure.
    const ahead = await liar(chain.url, { eth_blockNumber: () => '0xffffff' });
    expect(await openChainRpc({ ...config, rpc: [ahead, chain.url] }).head()).toBe(await chain.provider.getBlockNumber());
    const eager = await liar(chain.url, {
      eth_getTransactionReceipt: (_, [hash]) => ({
        transactionHash: hash,
        blockNumber: '0x1',
        blockHash: `0x${'1'.repeat(64)}`,
        status: '0x1',
      }),
    });
    const rpc = openChainRpc({ ...config, rpc: [chain.url, eager] });
    const records = memory();
    const sender = createSender(rpc, plainKey(5), records, () => now);
    const plan = await planClaim(rpc, chain.account(5).address, [voucher]);
    await chain.rpc('evm_setAutomine', false);
    try {
      await sendClaim(sender, plan);
      expect(await sender.advance()).toEqual([]);
      expect(records.all()).toMatchObject([{ state: 'pending' }]);
    } finally {
      await chain.rpc('evm_setAutomine', true);
      await chain.rpc('evm_mine');
    }
  });

  test('an endpoint that talks nonsense, or too much, or to another place, is passed over', async () => {
    const nonsense = createServer((request, response) => {
      if (request.url === '/long') response.end('x'.repeat(2 << 20));
      else if (request.url === '/away') response.writeHead(302, { location: chain.url }).end();
      else response.end('{"id":1}');
    });
    await new Promise<void>((resolve) => nonsense.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => void nonsense.close());
    const at = `http://127.0.0.1:${(nonsense.address() as AddressInfo).port}`;
    const bad = [`${at}/`, `${at}/long`, `${at}/away`, 'http://127.0.0.1:1/'];
    for (const url of bad) expect(await codeOf(openChainRpc({ ...config, rpc: [url] }).head())).toBe('CHAIN_UNREACHABLE');
    expect(await openChainRpc({ ...config, rpc: [...bad, chain.url] }).head()).toBe(await chain.provider.getBlockNumber());
  });
});
