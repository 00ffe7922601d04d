import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Contract, Wallet } from 'ethers';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { connectToAgent } from '../../cli/agent/connect.ts';
import { writeChain } from '../../cli/operator/chain.ts';
import { operate } from '../../cli/operator/operate.ts';
import type { Operated } from '../../cli/operator/request.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import type { ChainConfig } from '../../core/contract/chain.ts';
import { DELEGATION_DOMAIN, PAYEE_TYPES, REVOCATION_TYPES } from '../../core/contract/delegation-hash.ts';
import type { RpcClient } from '../../core/contract/rpc-client.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import { describeModel } from '../../core/models/describe.ts';
import { type Chain, escrowArtifact, noAnvil, startChain } from '../anvil.ts';
import { modelCases } from '../fixtures/onnx-models.ts';
import { natsMissing } from '../nats.ts';
import { freePorts } from './free-ports.ts';
import { type Command, hearthlend, run, temporaryFolder } from './program.ts';

const missing = natsMissing() ?? noAnvil;
const isolation = ['os', 'chromium', 'process'] as const;
/** A thousandth of a whole token for a run. */
const PRICE = 10n ** 15n;
const owner = Wallet.createRandom();
const payee = owner.address;

let chain: Chain;
let escrow: Contract;
let operated: Operated;
let agentDir: string;
let agent: Command;
let client: RpcClient;
let network = '';

beforeAll(async () => {
  if (missing !== null) return;
  const installation = findInstallation(fileURLToPath(import.meta.url));
  chain = await startChain();
  escrow = await chain.deploy(escrowArtifact(), [86_400]);
  const contract = (await escrow.getAddress()).toLowerCase();
  const payer = chain.account(1).address;

  const operatorDir = temporaryFolder('operator');
  const terms = join(operatorDir, 'terms.json');
  const settlement = { chainId: chain.chainId, contract, payer, epochMs: 1000 };
  const prices = [{ unit: 'run', perUnit: PRICE.toString(), note: '' }];
  const asset = `eip155:${chain.chainId}/slip44:60`;
  writeFileSync(terms, JSON.stringify({ isolation, settlement, payeeDelayMs: 2000, prices, asset, symbol: 'ETH', decimals: 18 }));
  agentDir = temporaryFolder('member');
  const here: ChainConfig = {
    ...{ chainId: chain.chainId, name: 'Here', rpc: [chain.url], explorer: null, symbol: 'ETH', confirmations: 2 },
    ...{ tokens: [], escrow: contract, test: true },
  };
  const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, acceptedIsolation: isolation, chains: [here] };
  writeFileSync(join(agentDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
  expect((await run(agentDir, 'wallet', 'watch', payee)).code).toBe(0);
  agent = hearthlend(agentDir, 'start', '--headless');
  const dir = join(operatorDir, 'operator');
  mkdirSync(dir, { recursive: true });
  writeChain(dir, here);
  const request = {
    ...{ dir, version: installation.version, name: 'Studio', operator: 'Ann', terms },
    ...{ port: await freePorts(), websocket: false, restoreLog: false, models: [], advertise: ['127.0.0.1'], nats: null, announced: false },
  };
  [operated] = await Promise.all([operate(request, installation), agent.event('started')]);
  const connection = await connectToAgent(agentDir);
  if (connection === undefined) throw new Error('the agent is not there');
  client = connection.client;
  const { link } = await operated.handlers.invite({ lastingMs: 60_000 });
  const preview = await client.call('network.preview', { link });
  const { coordinator } = preview.terms;
  const act = async (name: string, ...args: unknown[]) => {
    const sent = await (escrow.connect(chain.account(1)) as Contract).getFunction(name)(...args);
    await sent.wait();
  };
  await act('deposit', { value: PRICE * 100n });
  await act('authoriseSigner', coordinator);
  network = (await client.call('network.join', { link, coordinator, choices: { isolation: [...isolation], trusted: true } })).id;
});
afterAll(async () => {
  client?.close();
  await agent?.kill();
  await operated?.close();
  await chain?.stop();
});
beforeEach((context) => context.skip(missing !== null, missing ?? ''));

async function runJobs(count: number): Promise<void> {
  const [first] = modelCases();
  const folder = temporaryFolder('paid-model');
  for (const [path, bytes] of Object.entries(first?.files ?? {})) writeFileSync(join(folder, path), bytes);
  const model = await describeModel(join(folder, 'model.onnx'));
  const inputs = encodeSafetensors(first?.inputs ?? new Map());
  const limits = { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 2 ** 20 };
  const session = { intraOpThreads: 1, graphOptimization: 'all' as const };
  for (let each = 0; each < count; each += 1) {
    const { id } = await operated.intake.submitJob({ kind: 'onnx.run', model, inputs, limits, session, outputs: [] });
    await expect.poll(async () => (await operated.intake.job(id))?.state, { timeout: 60_000, interval: 100 }).toBe('done');
  }
}

const owed = async () => (await client.call('payments.status', {})).networks[0];
const promised = (amount: bigint) =>
  expect.poll(async () => BigInt((await owed())?.promised ?? 0), { timeout: 60_000, interval: 200 }).toBe(amount);

test('from a funded escrow over shards, receipts and vouchers to the balance of a wallet that has no key here; once more only the difference arrives, also under a new worker key', {
  timeout: 180_000,
}, async () => {
  await runJobs(2);
  await promised(PRICE * 2n);
  const refused = await run(agentDir, 'wallet', 'claim', '--yes');
  expect(refused.last).toMatchObject({ event: 'error', code: 'GAS_FUNDS_SHORT' });
  const gas = (await client.call('payments.status', {})).gasKey?.address ?? '';
  await chain.rpc('anvil_setBalance', gas, '0xde0b6b3a7640000');
  const claimed = await run(agentDir, 'wallet', 'claim', '--yes');
  expect(claimed).toMatchObject({ code: 0, last: { event: 'claim', kind: 'claim' } });
  expect(await chain.provider.getBalance(payee)).toBe(PRICE * 2n);

  // The key changes with a receipt that no voucher covers yet.
  await runJobs(1);
  const { worker: former } = await client.call('identity.show', {});
  const rekeyed = await run(agentDir, 'identity', 'rekey', '--yes');
  expect(rekeyed).toMatchObject({ code: 0, last: { event: 'identity', payee } });
  const { worker } = await client.call('identity.show', {});
  expect(worker).not.toBe(former);
  await promised(PRICE * 3n);
  // The operator's side of it, by the chain: what was claimed, what is owed, and what is there for that.
  const escrowNow = async () => (await operated.handlers.status({})).escrow;
  await expect.poll(async () => (await escrowNow())?.claimed, { timeout: 60_000, interval: 500 }).toBe(`${PRICE * 2n}`);
  expect(await escrowNow()).toMatchObject({
    owed: { unvouched: '0', unclaimed: `${PRICE}`, total: `${PRICE}` },
    ...{ holds: { deposit: `${PRICE * 98n}` }, covered: `${PRICE}`, missing: '0', signer: { state: 'authorised' }, trouble: null },
  });
  await runJobs(1);
  await promised(PRICE * 4n);
  expect((await run(agentDir, 'wallet', 'claim', '--network', network, '--yes')).code).toBe(0);
  expect(await chain.provider.getBalance(payee)).toBe(PRICE * 4n);

  // The wallet, elsewhere, has it paid to another address: after the delay in the terms, and what was earned before stays the old one's.
  const elsewhere = Wallet.createRandom().address;
  const payout = async () => (await client.call('network.list', {})).find(({ id }) => id === network)?.payout;
  const change = await client.call('identity.prepare', { kind: 'payee', networkKey: null, payee: elsewhere });
  if (change.kind !== 'payee') throw new Error('no change of payee');
  const signature = await owner.signTypedData(DELEGATION_DOMAIN, PAYEE_TYPES, change.change);
  const stranger = await Wallet.createRandom().signTypedData(DELEGATION_DOMAIN, PAYEE_TYPES, change.change);
  await expect(client.call('identity.keep', { claim: change, signature: stranger })).rejects.toMatchObject({ code: 'DELEGATION_INVALID' });
  await client.call('identity.keep', { claim: change, signature });
  await expect.poll(payout, { timeout: 20_000 }).toMatchObject({ payee, next: { payee: elsewhere } });
  const waits = (await payout())?.next?.at ?? 0;
  await expect.poll(() => Date.now() > waits, { timeout: 20_000 }).toBe(true);
  await runJobs(1);
  await promised(PRICE * 5n);
  expect((await run(agentDir, 'wallet', 'claim', '--network', network, '--yes')).code).toBe(0);
  expect([await chain.provider.getBalance(payee), await chain.provider.getBalance(elsewhere)]).toEqual([PRICE * 4n, PRICE]);
  // And takes back that the machine earns for it: no work comes from then on.
  const back = await client.call('identity.prepare', { kind: 'revocation' });
  if (back.kind !== 'revocation') throw new Error('no revocation');
  const said = await owner.signTypedData(DELEGATION_DOMAIN, REVOCATION_TYPES, back.revocation);
  await client.call('identity.keep', { claim: back, signature: said });
  await expect.poll(payout, { timeout: 20_000 }).toMatchObject({ stopped: 'revoked' });

  const proof = join(agentDir, 'proof.json');
  expect((await run(agentDir, 'ledger', 'prove', '--receipt', '3', '--out', proof)).code).toBe(0);
  expect((await run(temporaryFolder('anyone'), 'verify', proof)).last).toMatchObject({ event: 'proof', ok: true, signedByPayer: false });
  expect((await run(agentDir, 'ledger', 'prove', '--receipt', '1', '--out', `${proof}.1`)).last).toMatchObject({ code: 'USAGE' });
  for (const each of [former, worker]) {
    const path = `${proof}.${each}`;
    expect((await run(agentDir, 'ledger', 'prove', '--receipt', '1', '--worker', each, '--out', path)).code).toBe(0);
    expect((await run(agentDir, 'verify', path)).last).toMatchObject({ event: 'proof', ok: true });
  }
  expect((await run(agentDir, 'ledger', 'verify')).last).toMatchObject({ ok: true, receipts: 5 });

  // Over both keys and both payees the four numbers come out to the last unit; what isn't seen as paid yet is what the chain has still to bury.
  const [reconciled] = (await client.call('earnings.reconcile', {})).networks;
  expect(reconciled).toMatchObject({ network, accepted: `${PRICE * 5n}`, promised: `${PRICE * 5n}`, expected: '0' });
  const open = reconciled?.divergences.reduce((sum, { kind, amount }) => (kind === 'not-claimed' ? sum + BigInt(amount) : -1n), 0n);
  expect(BigInt(reconciled?.paid ?? -1) + (open ?? -1n)).toBe(PRICE * 5n);
  const day = { from: Date.now() - 3_600_000, to: Date.now() + 3_600_000, zone: 'UTC' };
  // What a page has written lies in the data folder, for its owner alone.
  const saved = await client.call('earnings.save', { what: 'tax' });
  expect(saved).toMatchObject({ path: expect.stringContaining(agentDir), rows: expect.any(Number) });
  expect(readFileSync(saved.path, 'utf8').trim().split('\n').length).toBe(saved.rows + 1);
  expect(statSync(saved.path).mode & 0o777).toBe(0o600);
  const [home] = await client.call('earnings.summary', {});
  expect(home).toMatchObject({ symbol: 'ETH', decimals: 18, practice: false });
  const report = await client.call('earnings.report', { ...day, by: 'network' });
  expect(report.rows.map(({ key }) => key)).toEqual([{ by: 'network', network }]);
  expect(report.total.money).toMatchObject([{ accepted: `${PRICE * 5n}`, promised: `${PRICE * 5n}`, acceptedShards: 5, fiat: null }]);
  const { rows: devices } = await client.call('earnings.report', { ...day, by: 'device' });
  expect(devices.map(({ key }) => key)).toMatchObject([{ by: 'device', device: 'cpu' }]);
  const { text } = await client.call('earnings.tax', { from: null, to: null, after: null });
  expect(text.split('\r\n').filter((line) => line.includes(',receipt,'))).toHaveLength(5);
});
