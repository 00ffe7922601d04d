import { keccak256 } from 'ethers';
import { z } from 'zod';
import type { TransactionRecord } from '../contract/chain.ts';
import { type ErrorCode, HearthlendError } from '../contract/errors.ts';
import type { Address } from '../contract/receipt.ts';
import { createSerial } from '../contract/serial.ts';
import type { Fees } from './claim-plan.ts';
import { type Call, estimate, gasPrice } from './fees.ts';
import { type FollowRules, follow, raisedFee } from './follow.ts';
import { type ChainRpc, Quantity, quantity, RpcRefusal } from './rpc.ts';

/** An EIP-1559 transaction to be signed: all that it says. */
export interface UnsignedTransaction extends Call, Fees {
  chainId: number;
  nonce: number;
}

/** Whoever holds a key that pays fees: the gas key, or the wallet's signer. */
export interface TransactionSigner {
  readonly address: Address;
  /** The signed transaction, serialised. @throws TRANSACTION_REFUSED, GAS_CAP_REACHED, WALLET_LOCKED */
  sign(transaction: UnsignedTransaction): Promise<string>;
}

/** What outlasts the program of transactions that were sent. `put` is durable when it returns. */
export interface TransactionRecords {
  open(): TransactionRecord[];
  put(record: TransactionRecord, call: Call): void;
  call(record: TransactionRecord): Call | null;
}

export interface Sender {
  /** @throws GAS_FUNDS_SHORT, CHAIN_REFUSED, RpcRefusal where the contract refuses, and what the signer throws */
  send(what: Pick<TransactionRecord, 'kind' | 'subject'>, call: Call, limit?: { costs: bigint }): Promise<TransactionRecord>;
  /** Looks after every open transaction once. Gives those that changed. */
  advance(): Promise<TransactionRecord[]>;
}

const STUCK_MS = 180_000;
const REPLACEMENTS = 8;
/** Why one can't be looked after just now: an endpoint is behind another, or whoever has to sign anew is not there, or has signed enough. */
const LATER: readonly ErrorCode[] = ['CHAIN_DISAGREES', 'WALLET_LOCKED', 'WALLET_MISSING', 'SPEND_LIMIT_REACHED'];

const Receipt = z
  .looseObject({
    transactionHash: z.string().max(66),
    blockNumber: Quantity,
    blockHash: z.string().max(66),
    status: Quantity,
  })
  .nullable();

/** Sends transactions of one key on one chain, one nonce after the other, and follows each to its end. */
export function createSender(
  rpc: ChainRpc,
  signer: TransactionSigner,
  records: TransactionRecords,
  clock: () => number,
  rules: Partial<FollowRules> = {},
): Sender {
  const { config } = rpc;
  const following: FollowRules = { confirmations: config.confirmations, stuckMs: STUCK_MS, replacements: REPLACEMENTS, ...rules };
  const mine = (record: TransactionRecord) =>
    record.chainId === config.chainId && record.from.toLowerCase() === signer.address.toLowerCase();
  // One at a time: two that are prepared together would take the same nonce.
  const inTurn = createSerial();

  async function broadcast(raw: string): Promise<void> {
    try {
      await rpc.broadcast(raw);
    } catch (thrown) {
      if (thrown instanceof RpcRefusal)
        throw new HearthlendError('CHAIN_REFUSED', { chain: config.name, detail: thrown.message.slice(0, 300) });
      throw thrown;
    }
  }

  async function mined(hashes: readonly string[]) {
    for (const hash of hashes) {
      // Of two endpoints: whoever lies about confirmations has to fool both.
      const { value } = await rpc.askTwo('eth_getTransactionReceipt', [hash], Receipt.transform(known));
      if (value !== null) return value;
    }
    return null;
  }

  async function advanceOne(record: TransactionRecord): Promise<TransactionRecord | null> {
    const head = await rpc.head();
    const at = quantity(head);
    const nonce = await rpc.ask('eth_getTransactionCount', [signer.address, at], Quantity);
    const found = await mined(record.hashes);
    const seen = { head, nextNonce: Number(nonce), mined: found };
    const next = follow(record, seen, following, clock());
    const call = records.call(record);
    let changed = next.record;
    if ((next.step === 'again' || next.step === 'replace') && call !== null) {
      const price = await gasPrice(rpc);
      const raise = next.step === 'replace';
      const old = { max: BigInt(record.maxFeePerGas), priority: BigInt(record.maxPriorityFeePerGas) };
      const maxFeePerGas = raise ? raisedFee(old.max, price.maxFeePerGas) : old.max;
      const raisedPriority = raise ? raisedFee(old.priority, price.maxPriorityFeePerGas) : old.priority;
      const maxPriorityFeePerGas = raisedPriority > maxFeePerGas ? maxFeePerGas : raisedPriority;
      const fees = { gasLimit: BigInt(record.gasLimit), maxFeePerGas, maxPriorityFeePerGas };
      const raw = await signer.sign({ chainId: config.chainId, nonce: record.nonce, ...call, ...fees });
      const hash = keccak256(raw);
      changed = {
        ...changed,
        hashes: changed.hashes.includes(hash) ? changed.hashes : [...changed.hashes, hash],
        maxFeePerGas: maxFeePerGas.toString(),
        maxPriorityFeePerGas: maxPriorityFeePerGas.toString(),
        replacedAt: clock(),
      };
      records.put(changed, call);
      await broadcast(raw);
      return changed;
    }
    if (JSON.stringify(changed) === JSON.stringify(record)) return null;
    if (call !== null) records.put(changed, call);
    return changed;
  }

  return {
    send: (what, call, limit) =>
      inTurn(async () => {
        const from = signer.address;
        const fees = await estimate(rpc, from, call);
        const costs = fees.gasLimit * fees.maxFeePerGas;
        if (limit !== undefined && costs > limit.costs) {
          throw new HearthlendError('GAS_CAP_REACHED', { cost: costs.toString(), cap: limit.costs.toString() });
        }
        const balance = await rpc.ask('eth_getBalance', [from, 'latest'], Quantity);
        if (balance < costs + call.value) {
          const params = { address: from, balance: balance.toString(), cost: (costs + call.value).toString() };
          throw new HearthlendError('GAS_FUNDS_SHORT', params);
        }
        const pending = Number(await rpc.ask('eth_getTransactionCount', [from, 'pending'], Quantity));
        const taken = records
          .open()
          .filter(mine)
          .map((record) => record.nonce + 1);
        const nonce = Math.max(pending, ...taken);
        const raw = await signer.sign({ chainId: config.chainId, nonce, ...call, ...fees });
        const at = clock();
        const record: TransactionRecord = {
          ...{ chainId: config.chainId, ...what, from, nonce, hashes: [keccak256(raw)] },
          maxFeePerGas: fees.maxFeePerGas.toString(),
          maxPriorityFeePerGas: fees.maxPriorityFeePerGas.toString(),
          gasLimit: Number(fees.gasLimit),
          ...{ sentAt: at, replacedAt: null, state: 'pending', block: null },
        };
        // On the disk first: what was sent and forgotten would be sent twice.
        records.put(record, call);
        try {
          await broadcast(raw);
        } catch (thrown) {
          // Refused by all: nobody has it, and its nonce is free.
          if (thrown instanceof HearthlendError && thrown.code === 'CHAIN_REFUSED') records.put({ ...record, state: 'displaced' }, call);
          throw thrown;
        }
        return record;
      }),
    advance: () =>
      inTurn(async () => {
        const changed: TransactionRecord[] = [];
        for (const record of records.open().filter(mine)) {
          const next = await advanceOne(record).catch((thrown: unknown) => {
            if (thrown instanceof HearthlendError && LATER.includes(thrown.code)) return null;
            throw thrown;
          });
          if (next !== null) changed.push(next);
        }
        return changed;
      }),
  };
}

function known(receipt: z.infer<typeof Receipt>) {
  if (receipt === null) return null;
  const { transactionHash: hash, blockNumber, blockHash, status } = receipt;
  return { hash, number: Number(blockNumber), blockHash, succeeded: status === 1n };
}
