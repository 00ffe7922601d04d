import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { computeAddress, SigningKey } from 'ethers';
import { practiceCredit } from '../../../core/contract/money.ts';
import type { SignedBatch, WorkReceipt } from '../../../core/contract/receipt.ts';
import { batchDigest, batchOf } from '../../../core/contract/receipt-hash.ts';
import type { LedgerEvent } from '../../../core/ledger/event.ts';
import type { HeadSigner } from '../../../core/ledger/head.ts';
import { type Ledger, openLedger } from '../../../core/ledger/ledger.ts';

export const NETWORK = 'local';
export const ASSET = practiceCredit(NETWORK);
/** Midnight of a day, at which every story here starts. */
export const DAY_MS = 20_000 * 86_400_000;

export function signer(seed: number): HeadSigner {
  const key = new SigningKey(`0x${seed.toString(16).padStart(64, '0')}`);
  return { address: computeAddress(key), signDigest: (digest) => key.sign(digest).serialized };
}

export const WORKER = signer(1);
export const COORDINATOR = signer(2);

export function digestOf(number: number): string {
  return number.toString(16).padStart(64, '0');
}

/** A ledger in a folder of its own. */
export function openScene(): { ledger: Ledger; path: string; reopen: () => Ledger } {
  const path = join(mkdtempSync(join(tmpdir(), 'ledger-')), 'ledger.db');
  const reopen = () => openLedger({ path, signer: WORKER });
  return { ledger: reopen(), path, reopen };
}

export type Leased = Extract<LedgerEvent, { kind: 'shard.leased' }>;

export function leased(number: number, at: number, changes: Partial<Leased> = {}): Leased {
  return {
    kind: 'shard.leased',
    at,
    network: NETWORK,
    shardId: `s${number}`,
    attempt: 1,
    jobId: `j${number}`,
    shardKind: 'onnx.generate',
    origin: 'practice',
    model: digestOf(7),
    inputs: digestOf(1000 + number),
    asset: ASSET,
    priceUnit: 'token',
    unitPrice: '3',
    payee: WORKER.address,
    ...changes,
  };
}

export function step<
  K extends 'shard.fetched' | 'shard.running' | 'shard.submitted' | 'shard.disputed' | 'shard.cancelled' | 'shard.expired',
>(kind: K, number: number, at: number): LedgerEvent {
  return { kind, at, network: NETWORK, shardId: `s${number}`, attempt: 1 } as LedgerEvent;
}

export function computed(number: number, at: number, units = 10): LedgerEvent {
  const outputs = digestOf(5000 + number);
  return { kind: 'shard.computed', at, network: NETWORK, shardId: `s${number}`, attempt: 1, outputs, outputBytes: 64, units, runMs: 12.5 };
}

/** Everything of a shard up to its submission, in steps of a second. */
export function submittedShard(number: number, at: number, changes: Partial<Leased> = {}, units = 10): LedgerEvent[] {
  return [
    leased(number, at, changes),
    step('shard.fetched', number, at + 1000),
    step('shard.running', number, at + 2000),
    computed(number, at + 3000, units),
    step('shard.submitted', number, at + 4000),
  ];
}

/** The receipt that an honest coordinator gives for shard `number` next. */
export function receiptFor(ledger: Ledger, number: number, changes: Partial<WorkReceipt> = {}): WorkReceipt {
  const head = ledger.receiptHead(NETWORK);
  const attempt = ledger.attempt(NETWORK, `s${number}`, 1);
  if (attempt === null) throw new Error(`shard ${number} was not leased`);
  const units = attempt.units ?? 0;
  return {
    network: NETWORK,
    jobId: attempt.jobId,
    shardId: attempt.shardId,
    attempt: 1,
    worker: WORKER.address,
    payee: WORKER.address,
    furtherPayees: [],
    modelHash: attempt.model,
    inputHash: attempt.inputs,
    outputCommitment: attempt.outputs ?? '',
    units,
    unitPrice: attempt.unitPrice,
    amount: (BigInt(units) * BigInt(attempt.unitPrice)).toString(),
    asset: attempt.asset,
    time: Math.floor(attempt.at / 1000),
    sequence: head.sequence + 1,
    previousHash: head.hash,
    ...changes,
  };
}

export function accepted(receipt: WorkReceipt, at: number, audited = false): LedgerEvent {
  return { kind: 'shard.accepted', at, audited, receipt };
}

/** Leases, computes and has accepted shards `first` to `last`, one every ten seconds from `startMs`. */
export function workThrough(ledger: Ledger, first: number, last: number, startMs = DAY_MS): void {
  for (let number = first; number <= last; number += 1) {
    const at = startMs + (number - first) * 10_000;
    ledger.record(submittedShard(number, at));
    ledger.record([accepted(receiptFor(ledger, number), at + 5000)]);
  }
}

/** The batch over receipts `first` to `last`, signed by both sides. */
export function coSigned(ledger: Ledger, first: number, last: number): SignedBatch & { workerSignature: string } {
  const batch = batchOf(ledger.receiptsOf(NETWORK, first, last));
  const digest = batchDigest(batch);
  return { batch, coordinatorSignature: COORDINATOR.signDigest(digest), workerSignature: WORKER.signDigest(digest) };
}

export function batched(ledger: Ledger, first: number, last: number, at: number): LedgerEvent {
  return { kind: 'batch', at, coordinator: COORDINATOR.address, ...coSigned(ledger, first, last) };
}

export function started(at: number): LedgerEvent {
  return { kind: 'agent.started', at, version: '0.1.0', worker: WORKER.address };
}
