import { existsSync } from 'node:fs';
import type { Amount } from '../contract/money.ts';
import type { WorkReceipt } from '../contract/receipt.ts';
import { storageError } from '../contract/storage-error.ts';
import { splitAmount } from '../contract/vouching.ts';
import { connectReader } from './connect.ts';

/** What came in: the payee's own part of a receipt when it was accepted, or what a claim was seen to pay. */
interface LedgerIncome {
  /** Its place in the ledger: one comes after the other. */
  entry: number;
  /** ms since 1970. */
  at: number;
  kind: 'receipt' | 'claim';
  network: string;
  asset: string;
  /** In base units, without what further payees got of it, which is `shared`. */
  amount: Amount;
  shared: Amount;
  payee: string;
  /** Which receipt of which shard; which channel. */
  reference: string;
  transaction: string | null;
}

interface ReceiptRow {
  entry: number;
  at: number;
  body: string;
}
interface ClaimRow {
  entry: number;
  at: number;
  channel: string;
  network: string;
  asset: string;
  amount: Amount;
  payee: string;
  transactionHash: string | null;
}
interface Bounds {
  after: number;
  from: number;
  to: number;
}

/**
 * Receipts and claims behind entry `after`, in the ledger's order, without practice, whose time lies in [fromMs, toMs). One snapshot in flat memory; the
 * file may be written meanwhile. @throws DATABASE_NEWER, DATABASE_CORRUPT, DATABASE_UNAVAILABLE
 */
export function* readIncomes(
  path: string,
  { fromMs, toMs, after }: { fromMs: number | null; toMs: number | null; after: number | null },
): Generator<LedgerIncome, void, undefined> {
  if (!existsSync(path)) return;
  const db = connectReader(path);
  const bounds = { after: after ?? 0, from: fromMs ?? 0, to: toMs ?? Number.MAX_SAFE_INTEGER };
  try {
    db.exec('BEGIN');
    const receipts = db
      .prepare<[Bounds], ReceiptRow>(`
        SELECT attempts.lastEntry AS entry, attempts.at AS at, receipts.body AS body FROM attempts INDEXED BY attempts_by_last_entry
        JOIN receipts ON receipts.network = attempts.network AND receipts.worker = lower(attempts.worker)
          AND receipts.sequence = attempts.receiptSequence
        WHERE attempts.lastEntry > :after AND attempts.state = 'accepted' AND attempts.at >= :from AND attempts.at < :to
          AND attempts.asset NOT LIKE 'hearth:%/credit:practice'
        ORDER BY attempts.lastEntry`)
      .iterate(bounds);
    const claims = db
      .prepare<[Bounds], ClaimRow>(`
        SELECT claims.lastEntry AS entry, claims.at AS at, claims.channel AS channel, claims.asset AS asset, claims.amount AS amount,
          claims.transactionHash AS transactionHash, vouchers.network AS network, vouchers.payee AS payee
        FROM claims JOIN vouchers ON vouchers.channel = claims.channel AND vouchers.epoch = 1
        WHERE claims.lastEntry > :after AND claims.at >= :from AND claims.at < :to ORDER BY claims.lastEntry`)
      .iterate(bounds);
    yield* inOrder(receipts, claims);
  } catch (thrown) {
    throw storageError(path, thrown);
  } finally {
    db.close();
  }
}

function* inOrder(receipts: IterableIterator<ReceiptRow>, claims: IterableIterator<ClaimRow>): Generator<LedgerIncome, void, undefined> {
  try {
    let claim = claims.next();
    for (const row of receipts) {
      for (; claim.done !== true && claim.value.entry < row.entry; claim = claims.next()) yield ofClaim(claim.value);
      yield ofReceipt(row);
    }
    for (; claim.done !== true; claim = claims.next()) yield ofClaim(claim.value);
  } finally {
    // A database can't be closed while a statement is half read.
    receipts.return?.();
    claims.return?.();
  }
}

function ofReceipt({ entry, at, body }: ReceiptRow): LedgerIncome {
  const receipt = JSON.parse(body) as WorkReceipt;
  const { network, asset, sequence, shardId } = receipt;
  const payee = receipt.payee.toLowerCase();
  const own = splitAmount(receipt).find((part) => part.payee === payee)?.amount ?? 0n;
  const shared = (BigInt(receipt.amount) - own).toString();
  const reference = `${sequence} ${shardId}`;
  return { ...{ entry, at, kind: 'receipt', network, asset, amount: own.toString(), shared, payee, reference }, transaction: null };
}

function ofClaim({ entry, at, channel, network, asset, amount, payee, transactionHash }: ClaimRow): LedgerIncome {
  return { ...{ entry, at, kind: 'claim', network, asset, amount, shared: '0', payee }, reference: channel, transaction: transactionHash };
}
