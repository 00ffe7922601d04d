import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Contract, Interface, type InterfaceAbi, Wallet } from 'ethers';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openEscrowDesk } from '../../cli/operator/escrow-desk.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { DELEGATION_DOMAIN, REVOCATION_TYPES, revocationDigest } from '../../core/contract/delegation-hash.ts';
import type { TransactionToSign } from '../../core/contract/signing.ts';
import { type EscrowDomain, FIRST_PREVIOUS_VOUCHER, NATIVE_TOKEN, type Voucher } from '../../core/contract/voucher.ts';
import { channelOf, hashVoucher, VOUCHER_TYPES, voucherDomain } from '../../core/contract/voucher-hash.ts';
import { contractAccepts } from '../../core/settlement/contract-wallet.ts';
import { openChainRpc } from '../../core/settlement/rpc.ts';
import { payerMeaningOf } from '../../core/wallet/signer/payer-meaning.ts';
import { compileContracts } from '../../scripts/contracts.mjs';
import { type Chain, escrowArtifact, noAnvil, startChain } from '../anvil.ts';
import { openConsole } from '../cli/console.ts';
import { FakeApp } from '../fakes/app.ts';

const THAW_SECONDS = 7 * 86_400;
const artifact = escrowArtifact();
const abi = new Interface(artifact.abi);

test('the committed artifact is what the source compiles to', () => {
  const source = readFileSync(new URL('../../resources/contracts/HearthlendEscrow.sol', import.meta.url), 'utf8');
  expect(compileContracts(['HearthlendEscrow'], source, 'HearthlendEscrow.sol')).toEqual({ HearthlendEscrow: artifact });
});

describe.skipIf(noAnvil !== null)('the escrow', () => {
  let chain: Chain;
  let escrow: Contract;
  let domain: EscrowDomain;
  let tokens: Record<'Token' | 'ContractWallet' | 'GreedyPayee', { abi: InterfaceAbi; bytecode: string }>;
  let snapshot: unknown;

  const payer = () => chain.account(1);
  const anyone = () => chain.account(5);
  const worker = Wallet.createRandom().address;

  beforeAll(async () => {
    chain = await startChain();
    const source = readFileSync(new URL('../fixtures/contracts/Tokens.sol', import.meta.url), 'utf8');
    tokens = compileContracts(['Token', 'ContractWallet', 'GreedyPayee'], source, 'Tokens.sol') as typeof tokens;
    escrow = await chain.deploy(artifact, [THAW_SECONDS]);
    domain = { chainId: chain.chainId, contract: (await escrow.getAddress()).toLowerCase() };
    snapshot = await chain.rpc('evm_snapshot');
  });
  afterAll(() => chain?.stop());

  const voucherOf = (change: Partial<Voucher> = {}): Voucher => ({
    payer: payer().address,
    worker,
    payee: Wallet.createRandom().address,
    asset: NATIVE_TOKEN,
    epoch: 1,
    previousVoucher: FIRST_PREVIOUS_VOUCHER,
    cumulativeAmount: '1000',
    receiptsRoot: `0x${'11'.repeat(32)}`,
    receiptCount: 3,
    ...change,
  });
  const sign = (voucher: Voucher, signer: Pick<Wallet, 'signTypedData'> = payer(), at = domain) =>
    signer.signTypedData(voucherDomain(at), VOUCHER_TYPES, voucher);
  /** Sends a transaction to the escrow, and waits until it is in a block. */
  const act = async (account: ReturnType<Chain['account']>, name: string, ...args: unknown[]): Promise<void> => {
    const sent = await (escrow.connect(account) as Contract).getFunction(name)(...args);
    await sent.wait();
  };
  const fund = (amount: bigint) => act(payer(), 'deposit', { value: amount });
  const claim = async (voucher: Voucher, signature?: string) => act(anyone(), 'claim', voucher, signature ?? (await sign(voucher)));
  const read = <T = bigint>(name: string, ...args: unknown[]): Promise<T> => escrow.getFunction(name)(...args);
  const balance = (address: string) => chain.provider.getBalance(address);
  /** The name of the contract's error that a transaction would end with. */
  const refusal = async (call: Promise<unknown>): Promise<string> => {
    const thrown = (await call.then(
      () => null,
      (error: unknown) => error,
    )) as { data?: string; info?: { error?: { data?: string } }; revert?: { name: string } } | null;
    if (thrown === null) return 'none';
    const data = thrown.data ?? thrown.info?.error?.data;
    return thrown.revert?.name ?? (typeof data === 'string' ? (abi.parseError(data)?.name ?? data) : String(thrown));
  };

  test('channels and hashes are those that the rest of the program computes', async () => {
    const voucher = voucherOf({ cumulativeAmount: (2n ** 255n + 7n).toString(), epoch: 9 });
    expect(await read('channelOf', voucher.payer, voucher.worker, voucher.payee, voucher.asset)).toBe(channelOf(domain, voucher));
    expect(await read('voucherHash', voucher)).toBe(hashVoucher(voucher));
  });

  test('a claim pays its payee what exceeds the amount claimed before, whoever sends it', async () => {
    await fund(5000n);
    const first = voucherOf();
    await claim(first);
    expect(await balance(first.payee)).toBe(1000n);
    const second = voucherOf({ ...first, epoch: 2, previousVoucher: hashVoucher(first), cumulativeAmount: '1700' });
    await claim(second);
    expect(await balance(first.payee)).toBe(1700n);
    expect(await read('claimed', channelOf(domain, first))).toBe(1700n);
  });

  test('a voucher that was claimed, or an older one, pays nothing', async () => {
    await fund(5000n);
    const first = voucherOf();
    const second = voucherOf({ ...first, epoch: 2, cumulativeAmount: '1700' });
    await claim(second);
    expect(await refusal(claim(second))).toBe('NothingToClaim');
    expect(await refusal(claim(first))).toBe('NothingToClaim');
    expect(await balance(first.payee)).toBe(1700n);
  });

  test('a voucher for another chain or another contract pays nothing here', async () => {
    await fund(5000n);
    const voucher = voucherOf();
    const elsewhere = [
      { ...domain, chainId: 1 },
      { ...domain, contract: Wallet.createRandom().address },
    ];
    for (const at of elsewhere) expect(await refusal(claim(voucher, await sign(voucher, undefined, at)))).toBe('SignerUnknown');
  });

  test('a signature by somebody else, a broken one, and one over another amount pay nothing', async () => {
    await fund(5000n);
    const voucher = voucherOf();
    expect(await refusal(claim(voucher, await sign(voucher, Wallet.createRandom())))).toBe('SignerUnknown');
    expect(await refusal(claim(voucher, '0x1234'))).toBe('SignatureInvalid');
    expect(await refusal(claim(voucher, `0x${'00'.repeat(65)}`))).toBe('SignatureInvalid');
    const larger = { ...voucher, cumulativeAmount: '5000' };
    expect(await refusal(claim(larger, await sign(voucher)))).toBe('SignerUnknown');
  });

  test("an authorised signer's vouchers count, and after it was revoked for the thawing time and no longer", async () => {
    await fund(5000n);
    const signer = Wallet.createRandom();
    const voucher = voucherOf();
    expect(await refusal(claim(voucher, await sign(voucher, signer)))).toBe('SignerUnknown');
    await act(payer(), 'authoriseSigner', signer.address);
    await claim(voucher, await sign(voucher, signer));
    await act(payer(), 'revokeSigner', signer.address);
    const second = voucherOf({ ...voucher, epoch: 2, cumulativeAmount: '1100' });
    await claim(second, await sign(second, signer));
    await chain.pass(THAW_SECONDS + 1);
    const third = voucherOf({ ...voucher, epoch: 3, cumulativeAmount: '1200' });
    expect(await refusal(claim(third, await sign(third, signer)))).toBe('SignerUnknown');
    // The payer can sign the same anew.
    await claim(third);
    expect(await balance(voucher.payee)).toBe(1200n);
  });

  test('a deposit can be taken back after the thawing time alone, and pays vouchers until then', async () => {
    const payerHere = chain.account(7);
    await act(payerHere, 'deposit', { value: 1500n });
    await act(payerHere, 'startWithdrawal', NATIVE_TOKEN, 1500n);
    expect(await refusal(act(payerHere, 'withdraw', NATIVE_TOKEN, anyone().address))).toBe('NotThawed');
    const voucher = voucherOf({ payer: payerHere.address });
    await claim(voucher, await sign(voucher, payerHere));
    expect(await balance(voucher.payee)).toBe(1000n);
    await chain.pass(THAW_SECONDS);
    const to = Wallet.createRandom().address;
    await act(payerHere, 'withdraw', NATIVE_TOKEN, to);
    expect(await balance(to)).toBe(500n);
  });

  test('what the escrow cannot cover stays owed, and is paid when there is money again', async () => {
    const payerHere = chain.account(8);
    const voucher = voucherOf({ payer: payerHere.address });
    const signature = await sign(voucher, payerHere);
    expect(await refusal(claim(voucher, signature))).toBe('EscrowEmpty');
    await act(payerHere, 'deposit', { value: 400n });
    await claim(voucher, signature);
    expect(await balance(voucher.payee)).toBe(400n);
    await act(payerHere, 'deposit', { value: 4000n });
    await claim(voucher, signature);
    expect(await balance(voucher.payee)).toBe(1000n);
  });

  test("an earmark pays its own channel's vouchers and nobody else's, and is taken back after the thawing time alone", async () => {
    const payerHere = chain.account(9);
    const mine = voucherOf({ payer: payerHere.address });
    const other = voucherOf({ payer: payerHere.address });
    await act(payerHere, 'deposit', { value: 1000n });
    await act(payerHere, 'earmark', mine.worker, mine.payee, NATIVE_TOKEN, 1000n);
    expect(await refusal(claim(other, await sign(other, payerHere)))).toBe('EscrowEmpty');
    expect(await refusal(act(payerHere, 'startWithdrawal', NATIVE_TOKEN, 1n))).toBe('AmountOver');
    await act(payerHere, 'startRelease', mine.worker, mine.payee, NATIVE_TOKEN, 300n);
    expect(await refusal(act(payerHere, 'release', mine.worker, mine.payee, NATIVE_TOKEN))).toBe('NotThawed');
    await chain.pass(THAW_SECONDS);
    await act(payerHere, 'release', mine.worker, mine.payee, NATIVE_TOKEN);
    expect((await read<bigint[]>('earmarkOf', channelOf(domain, mine)))[0]).toBe(700n);
    expect((await read<bigint[]>('depositOf', payerHere.address, NATIVE_TOKEN))[0]).toBe(300n);
    await claim(mine, await sign(mine, payerHere));
    expect(await balance(mine.payee)).toBe(1000n);
  });

  test('who claims in front of the payee does them a favour: a list of claims passes over what others have claimed', async () => {
    await fund(5000n);
    const first = voucherOf();
    const second = voucherOf();
    await claim(first);
    const signatures = [await sign(first), await sign(second)];
    await act(anyone(), 'claimMany', [first, second], signatures);
    expect([await balance(first.payee), await balance(second.payee)]).toEqual([1000n, 1000n]);
  });

  test('a payee that claims again while it is paid is paid once', async () => {
    await fund(9000n);
    const greedy = await chain.deploy(tokens.GreedyPayee, []);
    const voucher = voucherOf({ payee: await greedy.getAddress() });
    const signature = await sign(voucher);
    await (await greedy.getFunction('greed')(domain.contract, abi.encodeFunctionData('claim', [voucher, signature]))).wait();
    await claim(voucher, signature);
    expect(await balance(voucher.payee)).toBe(1000n);
    expect(await greedy.getFunction('again')()).toBe(false);
  });

  test('a token that calls back while it pays out gets nothing more, and amounts near 2^255 are exact', async () => {
    const huge = 2n ** 255n - 19n;
    const token = await chain.deploy(tokens.Token, [huge, 0], 1);
    const asset = (await token.getAddress()).toLowerCase();
    await (await (token.connect(payer()) as Contract).getFunction('approve')(domain.contract, huge)).wait();
    await act(payer(), 'depositToken', asset, huge);
    const voucher = voucherOf({ asset, cumulativeAmount: (huge - 5n).toString() });
    const signature = await sign(voucher);
    await (await token.getFunction('callBack')(domain.contract, abi.encodeFunctionData('claim', [voucher, signature]))).wait();
    await claim(voucher, signature);
    expect(await token.getFunction('balanceOf')(voucher.payee)).toBe(huge - 5n);
    expect([await token.getFunction('calledBack')(), await token.getFunction('callFailed')()]).toEqual([true, true]);
  });

  test('of a token with a fee, what arrived is what was deposited', async () => {
    const token = await chain.deploy(tokens.Token, [10_000n, 100], 1);
    const asset = (await token.getAddress()).toLowerCase();
    await (await (token.connect(payer()) as Contract).getFunction('approve')(domain.contract, 10_000n)).wait();
    await act(payer(), 'depositToken', asset, 10_000n);
    expect((await read<bigint[]>('depositOf', payer().address, asset))[0]).toBe(9900n);
    const voucher = voucherOf({ asset, cumulativeAmount: '10000' });
    await claim(voucher);
    expect(await token.getFunction('balanceOf')(voucher.payee)).toBe(9801n);
    // One per cent of it never was there: it stays owed.
    expect(await read('claimed', channelOf(domain, voucher))).toBe(9900n);
  });

  test('a payer that is a contract signs as it sees fit', async () => {
    const owner = chain.account(0);
    const wallet = await chain.deploy(tokens.ContractWallet, []);
    const address = await wallet.getAddress();
    await (await owner.sendTransaction({ to: address, value: 3000n })).wait();
    await (await wallet.getFunction('act')(domain.contract, 3000n, abi.encodeFunctionData('deposit', []))).wait();
    const voucher = voucherOf({ payer: address });
    expect(await refusal(claim(voucher, await sign(voucher)))).toBe('SignerUnknown');
    await claim(voucher, await sign(voucher, owner));
    expect(await balance(voucher.payee)).toBe(1000n);
  });

  test('a wallet that is a contract is asked whether it signed for its worker, a key is not; where it reverts or says no, it did not', async () => {
    const owner = chain.account(0);
    const wallet = await (await chain.deploy(tokens.ContractWallet, [])).getAddress();
    const config = { chainId: chain.chainId, name: 'Here', rpc: [chain.url, chain.url], explorer: null, symbol: 'ETH', confirmations: 1 };
    const rpc = openChainRpc({ ...config, tokens: [], escrow: null, test: true });
    const revocation = { wallet, worker, nonce: 1 };
    const digest = revocationDigest(revocation);
    const signed = (by: Pick<Wallet, 'signTypedData'>) => by.signTypedData(DELEGATION_DOMAIN, REVOCATION_TYPES, revocation);
    expect(await contractAccepts(rpc, wallet, digest, await signed(owner))).toBe(true);
    expect(await contractAccepts(rpc, wallet, digest, await signed(anyone()))).toBe(false);
    expect(await contractAccepts(rpc, wallet, digest, '0x12')).toBe(false);
    expect(await contractAccepts(rpc, domain.contract, digest, await signed(owner))).toBe(false);
    expect(await contractAccepts(rpc, owner.address, digest, await signed(owner))).toBeNull();
  });

  test('an operator makes, funds, shares out and thaws an escrow at the command line: fees and words first, each final before it is done, the key in its signer alone', {
    timeout: 120_000,
  }, async () => {
    const installation = findInstallation(fileURLToPath(import.meta.url));
    const password = 'a lantern over the hill';
    let lines: string[] = [];
    const console_ = openConsole(() => new FakeApp(), {
      keyboard: { present: false, ask: () => Promise.reject(new Error('nobody is there')), lines: async () => [...lines] },
      escrowDesk: (dir) => openEscrowDesk(dir, installation),
    });
    const escrowCommand = async (...argv: string[]) => {
      const { stdout, exitCode } = console_.run('--json', 'coordinator', 'escrow', ...argv);
      const code = await exitCode;
      return { code, said: stdout.json(), last: stdout.json().at(-1) };
    };
    const act = (...argv: string[]) => {
      lines = [password];
      return escrowCommand(...argv, '--yes', '--password-stdin');
    };
    expect((await act('deploy')).last).toMatchObject({ code: 'PAYER_MISSING' });
    const key = chain.account(4);
    lines = [key.privateKey, password];
    expect((await escrowCommand('key', 'import', '--from', 'key', '--password-stdin')).last).toMatchObject({ address: key.address });
    expect((await act('deploy')).last).toMatchObject({ code: 'CHAIN_UNNAMED' });
    expect((await escrowCommand('chain', '--id', '5', '--rpc', chain.url)).last).toMatchObject({ code: 'CHAIN_ID_WRONG' });
    const named = ['chain', '--id', String(chain.chainId), '--rpc', chain.url, '--rpc', chain.url, '--confirmations', '1'];
    expect((await escrowCommand(...named)).last).toMatchObject({ event: 'chain', chainId: chain.chainId });

    const made = await act('deploy', '--thaw', '2h');
    expect(made.said.map(({ event }) => event)).toEqual(['escrow-plan', 'escrow', 'terms']);
    expect(made.said[0]).toMatchObject({
      words: { key: 'signer.escrow-deploy', params: { thawHours: 2 } },
      costs: expect.stringMatching(/^[1-9]/),
    });
    const { contract, payer: from } = (made.last as { settlement: { contract: string; payer: string } }).settlement;
    expect(from).toBe(key.address);
    expect((await act('deposit', '--amount', '3.5')).last).toMatchObject({ event: 'escrow', act: 'deposit' });
    const payee_ = Wallet.createRandom().address;
    expect((await act('earmark', '--amount', '1', '--worker', worker, '--payee', payee_)).code).toBe(0);
    expect((await act('authorise')).code).toBe(0);
    expect((await act('thaw', '--amount', '0.5')).code).toBe(0);
    expect((await act('withdraw', '--to', payee_)).last).toMatchObject({
      code: 'ESCROW_REFUSED',
      message: expect.stringContaining('not thawed yet'),
    });
    const whole = 10n ** 18n;
    expect((await escrowCommand('status')).last).toMatchObject({
      ...{ contract, payer: key.address, thawSeconds: 7200, authorised: true, until: null },
      holdings: [{ symbol: 'ETH', deposit: `${(5n * whole) / 2n}`, thawing: `${whole / 2n}` }],
    });
    const at = new Contract(contract, artifact.abi, chain.provider);
    const channel = channelOf({ chainId: chain.chainId, contract }, { payer: key.address, worker, payee: payee_, asset: NATIVE_TOKEN });
    expect((await at.getFunction('earmarkOf')(channel))[0]).toBe(whole);
    // An ERC-20: no more is approved than is deposited.
    const erc20 = await chain.deploy(tokens.Token, [1000n, 0n]);
    const token = await erc20.getAddress();
    await (await erc20.getFunction('transfer')(key.address, 1000n)).wait();
    expect((await escrowCommand('chain', '--token', `${token}:TOK:2`)).code).toBe(0);
    const both = await act('deposit', '--amount', '7.5', '--asset', 'TOK');
    expect(both.said.filter(({ event }) => event === 'escrow').map((each) => each.act)).toEqual(['approve', 'deposit']);
    expect(await erc20.getFunction('allowance')(key.address, contract)).toBe(0n);
    expect((await at.getFunction('depositOf')(key.address, token))[0]).toBe(750n);
    // Nothing of the key is in the open.
    const folder = join(console_.dataDir, 'operator');
    for (const file of readdirSync(folder, { recursive: true, withFileTypes: true }))
      if (file.isFile()) expect(readFileSync(join(file.parentPath, file.name), 'latin1')).not.toContain(key.privateKey.slice(2));
  });

  test('the payer’s signer signs what a payer does with its escrow by its every byte, and nothing else', () => {
    const fees = { gasLimit: '100000', maxFeePerGas: '10', maxPriorityFeePerGas: '1' };
    const read = (change: Partial<TransactionToSign>) =>
      payerMeaningOf({
        kind: 'transaction',
        transaction: { ...fees, chainId: 1, nonce: 0, to: domain.contract, value: '0', data: '0x', ...change },
      });
    const refused = expect.objectContaining({ code: 'TRANSACTION_REFUSED' });
    const earmark = abi.encodeFunctionData('earmark', [worker, worker, NATIVE_TOKEN, 5n]);
    expect(read({ data: earmark }).words).toMatchObject({ key: 'signer.escrow-earmark', params: { worker, native: 'yes', units: '5' } });
    const claimOf = abi.encodeFunctionData('claim', [voucherOf(), `0x${'11'.repeat(65)}`]);
    const wrong: Partial<TransactionToSign>[] = [
      {},
      { value: '1' },
      { data: `${earmark}00` },
      { data: earmark, value: '1' },
      { data: claimOf },
      { data: abi.encodeFunctionData('deposit') },
      { to: null, data: `${artifact.bytecode}${'0'.repeat(63)}` },
      { to: null, data: `${artifact.bytecode.slice(0, -2)}00${'0'.repeat(64)}` },
      { data: earmark, gasLimit: '20000000' },
      { data: abi.encodeFunctionData('authoriseSigner', [NATIVE_TOKEN]) },
    ];
    for (const change of wrong) expect(() => read(change), JSON.stringify(change)).toThrow(refused);
    const transfer = new Interface(['function transfer(address, uint256)']).encodeFunctionData('transfer', [worker, 1n]);
    expect(() => read({ data: transfer })).toThrow(refused);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(() => read({ data: `0x${Buffer.from(bytes).toString('hex')}` })).toThrow(refused);
      }),
    );
  });

  test('whatever payers and claimants do, nothing is paid beyond vouchers, and the contract holds what its books say', {
    timeout: 120_000,
  }, async () => {
    const payers = [chain.account(2), chain.account(3)];
    const payees = [1, 2, 3].map((n) => `0x${String(n).repeat(40)}`);
    const step = fc.record({
      act: fc.constantFrom('deposit', 'claim', 'claim', 'earmark', 'startRelease', 'release', 'startWithdrawal', 'withdraw', 'pass'),
      from: fc.nat(1),
      to: fc.nat(2),
      amount: fc.bigInt({ min: 1n, max: 1000n }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 25 }), async (steps) => {
        await chain.rpc('evm_revert', snapshot);
        snapshot = await chain.rpc('evm_snapshot');
        const vouched = new Map<string, bigint>();
        let held = 0n;
        for (const { act, from, to, amount } of steps) {
          const payerHere = payers[from] as (typeof payers)[number];
          const payee = payees[to] as string;
          const names = { payer: payerHere.address, worker, payee, asset: NATIVE_TOKEN };
          const send = async (data: string, value = 0n): Promise<boolean> => {
            try {
              const call = { from: payerHere.address, to: domain.contract, data, value: `0x${value.toString(16)}` };
              await chain.rpc('eth_call', call, 'latest');
              const hash = await chain.rpc('eth_sendTransaction', call);
              // Its block is made a moment later.
              while ((await chain.rpc('eth_getTransactionReceipt', hash)) === null);
              return true;
            } catch {
              return false;
            }
          };
          const before = await balance(domain.contract);
          const paidBefore = await balance(payee);
          if (act === 'pass') await chain.pass(Number(amount) * 3600);
          else if (act === 'deposit') await send(abi.encodeFunctionData('deposit', []), amount);
          else if (act === 'withdraw') await send(abi.encodeFunctionData('withdraw', [NATIVE_TOKEN, payerHere.address]));
          else if (act === 'startWithdrawal') await send(abi.encodeFunctionData('startWithdrawal', [NATIVE_TOKEN, amount]));
          else if (act === 'release') await send(abi.encodeFunctionData('release', [worker, payee, NATIVE_TOKEN]));
          else if (act === 'claim') {
            const channel = channelOf(domain, names);
            const cumulative = (vouched.get(channel) ?? 0n) + amount;
            vouched.set(channel, cumulative);
            const voucher = voucherOf({ ...names, cumulativeAmount: cumulative.toString() });
            const [deposit] = await read<[bigint]>('depositOf', names.payer, NATIVE_TOKEN);
            const [earmarked] = await read<[bigint]>('earmarkOf', channel);
            const had = deposit + earmarked;
            const claimedBefore: bigint = await read('claimed', channel);
            await send(abi.encodeFunctionData('claim', [voucher, await sign(voucher, payerHere)]));
            const due = cumulative - claimedBefore;
            const paid = due < had ? due : had;
            expect((await balance(payee)) - paidBefore).toBe(paid);
            expect(before - (await balance(domain.contract))).toBe(paid);
          } else await send(abi.encodeFunctionData(act, [worker, payee, NATIVE_TOKEN, amount]));
        }
        for (const { address } of payers) {
          const [deposit, thawing] = await read<[bigint, bigint]>('depositOf', address, NATIVE_TOKEN);
          expect(thawing <= deposit).toBe(true);
          held += deposit;
          for (const payee of payees) {
            const channel = channelOf(domain, { payer: address, worker, payee, asset: NATIVE_TOKEN });
            const [amount, releasing] = await read<[bigint, bigint]>('earmarkOf', channel);
            expect(releasing <= amount).toBe(true);
            held += amount;
            expect((await read('claimed', channel)) <= (vouched.get(channel) ?? 0n)).toBe(true);
          }
        }
        expect(await balance(domain.contract)).toBe(held);
      }),
      { numRuns: 6, endOnFailure: true },
    );
  });
});
