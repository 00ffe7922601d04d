import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCreateAddress } from 'ethers';
import type { ChainConfig, TransactionRecord } from '../../core/contract/chain.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Address } from '../../core/contract/receipt.ts';
import type { Described } from '../../core/contract/signing.ts';
import { NATIVE_TOKEN } from '../../core/contract/voucher.ts';
import { lockDataDir } from '../../core/datadir/lock.ts';
import { openDataDir } from '../../core/datadir/open.ts';
import { openIdentity } from '../../core/identity/identity.ts';
import { openTransactionRecords } from '../../core/payment-records.ts';
import { toSign } from '../../core/sending.ts';
import { readEscrow, refusalOf } from '../../core/settlement/escrow.ts';
import { allowanceOf, type EscrowAct, escrowCall, thawSecondsOf } from '../../core/settlement/escrow-acts.ts';
import { type Call, estimate } from '../../core/settlement/fees.ts';
import { type ChainRpc, openChainRpc, RpcRefusal } from '../../core/settlement/rpc.ts';
import { createSender } from '../../core/settlement/sender.ts';
import { balanceOf } from '../../core/settlement/transfer.ts';
import { detectWall } from '../../core/supervisor/sandbox/detect.ts';
import { resolveNeeds } from '../../core/supervisor/sandbox/needs.ts';
import { openWallet, type Wallet } from '../../core/wallet/wallet.ts';
import { signerPort } from '../../core/wallet-ports.ts';
import type { Installation } from '../ports/installation.ts';
import { readChain, writeChain } from './chain.ts';

/** What one act would cost at most (base units of the native token) and what the payer's signer reads of it. */
export interface PlannedAct extends Described {
  act: EscrowAct;
  call: Call;
  costs: bigint;
  balance: bigint;
}

/** What the escrow holds of one token. Amounts in base units; `thawedAt` in ms since 1970. */
export interface EscrowHolding {
  token: Address;
  symbol: string;
  decimals: number;
  deposit: bigint;
  thawing: bigint;
  thawedAt: number | null;
  /** What the payer has outside of it. */
  balance: bigint;
}

/** Where an operator looks after the escrow: the payer's key, in a signer process of its own, and the chain. */
export interface EscrowDesk {
  readonly wallet: Wallet;
  /** The key with which this folder's coordinator signs vouchers. */
  readonly coordinator: Address;
  /** @throws CHAIN_UNNAMED */
  chain(): ChainConfig;
  /** Keeps a chain once each of its endpoints has said that it is it. @throws CHAIN_ID_WRONG, CHAIN_UNREACHABLE, ESCROW_MISSING */
  nameChain(chain: ChainConfig): Promise<void>;
  /** @throws PAYER_MISSING, ESCROW_MISSING, ESCROW_REFUSED, CHAIN_*, WALLET_LOCKED */
  plan(act: EscrowAct): Promise<PlannedAct>;
  /** Sends it, and resolves once it is final. `onMined` is told the confirmations. @throws GAS_*, CHAIN_* */
  perform(planned: PlannedAct, onMined: (confirmations: number) => void): Promise<TransactionRecord>;
  /** How much of a token the escrow may already take. */
  allowance(token: Address): Promise<bigint>;
  look(): Promise<{ contract: Address; thawSeconds: number; payer: Address; signerUntil: bigint; holdings: EscrowHolding[] }>;
  close(): Promise<void>;
}

const POLL_MS = 1000;
const LOCK_MINUTES = 15;

/** @throws AGENT_RUNNING where another command is at it, DATA_DIR_UNWRITABLE, IDENTITY_* */
export async function openEscrowDesk(dir: string, installation: Installation): Promise<EscrowDesk> {
  openDataDir(join(dir, '..'));
  const folder = join(dir, 'payer');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const lock = lockDataDir(folder);
  const records = openTransactionRecords(join(dir, 'payments'));
  const coordinator = openIdentity(join(dir, 'identity.json')).address;
  const wallet = openWallet({
    folder,
    signer: await payersSigner(folder, installation),
    payee: coordinator,
    autoLockMinutes: () => LOCK_MINUTES,
    clock: Date.now,
    onChange: () => undefined,
    onFault: () => undefined,
  });

  function chain(): ChainConfig {
    const named = readChain(dir);
    if (named === null) throw new HearthlendError('CHAIN_UNNAMED');
    return named;
  }

  function payer(): Address {
    const { address } = wallet.status();
    if (address === null) throw new HearthlendError('PAYER_MISSING');
    return address;
  }

  /** @throws ESCROW_MISSING */
  function contract(): Address {
    const { escrow } = chain();
    if (escrow === null) throw new HearthlendError('ESCROW_MISSING', { contract: 'none' });
    return escrow;
  }

  const rpcOf = (): ChainRpc => openChainRpc(chain());

  async function perform({ act, call, costs, seen }: PlannedAct, onMined: (confirmations: number) => void): Promise<TransactionRecord> {
    const rpc = rpcOf();
    const from = payer();
    const signer = {
      address: from,
      sign: async (transaction: Parameters<typeof toSign>[0]) => (await wallet.sign(toSign(transaction), seen)).signed,
    };
    const sender = createSender(rpc, signer, records, Date.now);
    const sent = await sender.send({ kind: 'escrow', subject: act.kind }, call, { costs: (costs * 5n) / 4n });
    const isThis = (record: TransactionRecord) => record.nonce === sent.nonce && record.sentAt === sent.sentAt;
    for (;;) {
      await sender.advance();
      const now = records.all().find(isThis) ?? sent;
      if (now.state === 'final') return now;
      if (now.state === 'failed' || now.state === 'displaced') {
        throw new HearthlendError('CHAIN_REFUSED', { chain: rpc.config.name, detail: now.state });
      }
      if (now.state === 'mined' && now.block !== null) onMined((await rpc.head()) - now.block.number + 1);
      await sleep(POLL_MS);
    }
  }

  return {
    wallet,
    coordinator,
    chain,
    async nameChain(config) {
      for (const url of config.rpc) await openChainRpc({ ...config, rpc: [url] }).head();
      if (config.escrow !== null && (await thawSecondsOf(openChainRpc(config), config.escrow)) === null)
        throw new HearthlendError('ESCROW_MISSING', { contract: config.escrow });
      writeChain(dir, config);
    },
    async plan(act) {
      const rpc = rpcOf();
      const from = payer();
      const call = escrowCall(act.kind === 'deploy' ? null : contract(), act);
      const fees = await estimate(rpc, from, call).catch((thrown: unknown) => {
        if (!(thrown instanceof RpcRefusal)) throw thrown;
        const reason = refusalOf(thrown);
        if (reason !== null) throw new HearthlendError('ESCROW_REFUSED', { reason }, { cause: thrown });
        throw new HearthlendError('CHAIN_REFUSED', { chain: rpc.config.name, detail: thrown.message.slice(0, 300) }, { cause: thrown });
      });
      const described = await wallet.describe(toSign({ chainId: rpc.config.chainId, nonce: 0, ...call, ...fees }));
      const balance = await balanceOf(rpc, NATIVE_TOKEN, from);
      return { ...described, act, call, balance, costs: fees.gasLimit * fees.maxFeePerGas };
    },
    async perform(planned, onMined) {
      const done = await perform(planned, onMined);
      if (planned.act.kind !== 'deploy') return done;
      const made = getCreateAddress({ from: done.from, nonce: done.nonce });
      if ((await thawSecondsOf(rpcOf(), made)) !== planned.act.thawSeconds) throw new HearthlendError('ESCROW_MISSING', { contract: made });
      writeChain(dir, { ...chain(), escrow: made });
      return done;
    },
    allowance: (token) => allowanceOf(rpcOf(), token, payer(), contract()),
    async look() {
      const rpc = rpcOf();
      const { config } = rpc;
      const [from, at] = [payer(), contract()];
      const thawSeconds = await thawSecondsOf(rpc, at);
      if (thawSeconds === null) throw new HearthlendError('ESCROW_MISSING', { contract: at });
      const domain = { chainId: config.chainId, contract: at };
      const tokens = [{ address: NATIVE_TOKEN, symbol: config.symbol, decimals: 18 }, ...config.tokens];
      let signerUntil = 0n;
      const holdings: EscrowHolding[] = [];
      for (const { address, symbol, decimals } of tokens) {
        const token = address.toLowerCase();
        const found = await readEscrow(rpc, { domain, payer: from, token, signer: coordinator }, []);
        const { balance: deposit, thawing, thawedAt } = found.deposit;
        signerUntil = found.signerUntil;
        const until = thawedAt === 0n ? null : Number(thawedAt) * 1000;
        holdings.push({ token, symbol, decimals, deposit, thawing, thawedAt: until, balance: await balanceOf(rpc, token, from) });
      }
      return { contract: at, thawSeconds, payer: from, signerUntil, holdings };
    },
    async close() {
      await wallet.close();
      lock.release();
    },
  };
}

/** Behind the wall that this system has, as the wallet's. */
async function payersSigner(folder: string, { root }: Installation) {
  const scriptPath = join(root, 'dist/worker/native.mjs');
  const needs = await resolveNeeds({ nodePath: process.execPath, scriptPath, modelsDir: folder, scratchBytes: 1 << 20, heapMiB: 256 });
  return signerPort(await detectWall(needs), { nodePath: process.execPath, signerScript: join(root, 'dist/wallet/payer.mjs'), folder });
}
