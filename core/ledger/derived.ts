import type { Database, Statement } from 'better-sqlite3';
import { canonicalJson } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { type Address, FIRST_PREVIOUS_HASH, type SignedBatch, type WorkReceipt } from '../contract/receipt.ts';
import { batchSignedBy, hashReceipt } from '../contract/receipt-hash.ts';
import type { Succession } from '../contract/succession.ts';
import { isSigned } from '../contract/succession-hash.ts';
import { Activity } from './activity.ts';
import { type Attempt, advance, checkTransition, isShardEntry, type ShardEntry } from './attempt.ts';
import { type BatchedReceipt, checkBatch, checkReceipt, type ReceiptHead } from './check-receipt.ts';
import { Earned } from './earned.ts';
import type { Entry } from './entry.ts';
import { Promises } from './promises.ts';
import { Shares } from './shares.ts';

/** The derived tables, by their keys: what can be rebuilt from the entries. */
export const DERIVED_TABLES = [
  { table: 'attempts', key: ['network', 'shardId', 'attempt'] },
  { table: 'receipts', key: ['network', 'worker', 'sequence'] },
  { table: 'batches', key: ['network', 'worker', 'last'] },
  { table: 'spans', key: ['id'] },
  { table: 'vouchers', key: ['channel', 'epoch'] },
  { table: 'claims', key: ['channel', 'cumulative'] },
  { table: 'earned', key: ['part', 'name', 'asset', 'slot'] },
  { table: 'shares', key: ['network', 'worker', 'asset', 'payee'] },
] as const;

/** An attempt as SQLite has it. */
export type AttemptRow = Omit<Attempt, 'audited' | 'reason' | 'energyEstimated'> & {
  audited: number;
  reason: string | null;
  energyEstimated: number | null;
};

const ATTEMPT_COLUMNS: ReadonlyArray<keyof Attempt> = [
  ...(['network', 'shardId', 'attempt', 'state', 'jobId', 'kind', 'origin', 'model', 'inputs', 'asset', 'priceUnit', 'unitPrice'] as const),
  ...(['worker', 'payee', 'outputs', 'outputBytes', 'units', 'amount', 'runMs', 'audited', 'receiptSequence', 'code', 'reason'] as const),
  ...(['leasedAt', 'runningAt', 'computedAt', 'submittedAt', 'at', 'spanId', 'firstEntry', 'lastEntry'] as const),
  ...(['device', 'millijoules', 'energyEstimated'] as const),
];

const NO_RECEIPT: ReceiptHead = { sequence: 0, hash: FIRST_PREVIOUS_HASH };

/** So many attempts are held before they are written, however long a step is. */
const MAX_HELD = 256;

/** Without the key: SQLite would look through all receipts for some that refer to the old one. */
const CHANGING_COLUMNS = ATTEMPT_COLUMNS.slice(3);

export function attemptOf(row: AttemptRow): Attempt {
  const { audited, reason, energyEstimated } = row;
  return {
    ...row,
    audited: audited === 1,
    reason: reason === null ? null : JSON.parse(reason),
    energyEstimated: energyEstimated === null ? null : energyEstimated === 1,
  };
}

/**
 * The tables derived from the entries: `apply` checks an entry against them and takes it in, or throws and changes nothing that a transaction keeps.
 * Entries of one attempt come together, so attempts are held until `settle` and then written once.
 */
export class Derived {
  readonly #held = new Map<string, { attempt: Attempt; changed: boolean }>();
  /** The last receipt of each network and worker, and the one that was applied last. */
  readonly #heads = new Map<string, ReceiptHead>();
  #receiptBefore: WorkReceipt | null = null;
  /** Whether rows are held against the rows that they refer to as they are written. */
  readonly #referring: boolean;
  readonly #signedBy: typeof batchSignedBy;
  readonly promises: Promises;
  readonly earned: Earned;
  readonly shares: Shares;
  readonly #activity: Activity;
  readonly #attempt: Statement<[string, string, number], AttemptRow>;
  readonly #putAttempt: Statement<[AttemptRow]>;
  readonly #receiptHead: Statement<[string, string], ReceiptHead>;
  readonly #receipt: Statement<[string, string, number], { shardId: string; attempt: number }>;
  readonly #batchedReceipts: Statement<[string, string, number, number], BatchedReceipt>;
  readonly #putReceipt: Statement<[string, string, number, string, number, string, string, number]>;
  readonly #lastBatch: Statement<[string, string], { last: number; coordinator: string }>;
  readonly #putBatch: Statement<[string, string, number, number, string, string, string, string, string, number]>;

  /** @param signedBy how a batch's signature is checked */
  constructor(db: Database, signedBy = batchSignedBy) {
    this.#referring = db.pragma('foreign_keys', { simple: true }) === 1;
    this.#signedBy = signedBy;
    this.promises = new Promises(db);
    this.earned = new Earned(db);
    this.shares = new Shares(db);
    this.#activity = new Activity(db);
    this.#attempt = db.prepare('SELECT * FROM attempts WHERE network = ? AND shardId = ? AND attempt = ?');
    this.#putAttempt = db.prepare(`
      INSERT INTO attempts (${ATTEMPT_COLUMNS.join(', ')}) VALUES (${ATTEMPT_COLUMNS.map((column) => `@${column}`).join(', ')})
      ON CONFLICT DO UPDATE SET ${CHANGING_COLUMNS.map((column) => `${column} = excluded.${column}`).join(', ')}`);
    this.#receiptHead = db.prepare('SELECT sequence, hash FROM receipts WHERE network = ? AND worker = ? ORDER BY sequence DESC LIMIT 1');
    this.#receipt = db.prepare('SELECT shardId, attempt FROM receipts WHERE network = ? AND worker = ? AND sequence = ?');
    this.#batchedReceipts = db.prepare(
      'SELECT sequence, hash FROM receipts WHERE network = ? AND worker = ? AND sequence BETWEEN ? AND ? ORDER BY sequence LIMIT 65',
    );
    this.#putReceipt = db.prepare('INSERT INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?)');
    this.#lastBatch = db.prepare('SELECT last, coordinator FROM batches WHERE network = ? AND worker = ? ORDER BY last DESC LIMIT 1');
    this.#putBatch = db.prepare('INSERT INTO batches VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
  }

  attempt(network: string, shardId: string, attempt: number): Attempt | undefined {
    const held = this.#held.get(nameOf(network, shardId, attempt));
    if (held !== undefined) return held.attempt;
    const row = this.#attempt.get(network, shardId, attempt);
    return row === undefined ? undefined : attemptOf(row);
  }

  /** Writes what entries changed. Belongs at the end of the transaction in which they were applied. */
  settle(): void {
    for (const { attempt, changed } of this.#held.values()) if (changed) this.#write(attempt);
    this.#held.clear();
    this.earned.settle();
    this.shares.settle();
    this.#activity.settle();
  }

  /** The transaction in which entries were applied came to nothing. */
  forget(): void {
    this.#held.clear();
    this.#heads.clear();
    this.#receiptBefore = null;
    this.earned.forget();
    this.shares.forget();
    this.#activity.forget();
  }

  #write(attempt: Attempt): void {
    this.#putAttempt.run({
      ...attempt,
      audited: attempt.audited ? 1 : 0,
      reason: attempt.reason === null ? null : canonicalJson(attempt.reason),
      energyEstimated: attempt.energyEstimated === null ? null : Number(attempt.energyEstimated),
    });
  }

  receiptHead(network: string, worker: Address): ReceiptHead {
    const name = `${network} ${worker.toLowerCase()}`;
    const head = this.#heads.get(name) ?? this.#receiptHead.get(network, worker.toLowerCase()) ?? NO_RECEIPT;
    this.#heads.set(name, head);
    return head;
  }

  /**
   * @param previousAt when the entry before was made: the last time at which the agent is known to have been there
   * @param json the entry's body as it is stored
   */
  apply(entry: Entry, previousAt: number, json: string): void {
    const { sequence } = entry;
    if (this.#held.size >= MAX_HELD) this.settle();
    if (isShardEntry(entry)) this.#applyShard(entry);
    else if (entry.kind === 'receipt') this.#applyReceipt(entry, json);
    else if (entry.kind === 'batch') this.#applyBatch(entry);
    else if (entry.kind === 'energy') this.#applyEnergy(entry);
    else if (entry.kind === 'voucher') this.#applyVoucher(entry);
    else if (entry.kind === 'claim.paid') this.#applyClaim(entry);
    else if (entry.kind === 'identity.rekeyed') checkRekeyed(entry.body);
    else if (entry.kind === 'voucher.refused') return;
    else if (entry.kind === 'agent.started') this.#activity.closeAll(previousAt, sequence);
    else if (entry.kind === 'agent.stopped') this.#activity.closeAll(entry.at, sequence);
    else if (entry.kind === 'agent.paused') this.#activity.setAside(entry.body.reason, entry);
    else if (entry.kind === 'agent.yielded') this.#activity.yielded(entry);
    else this.#activity.resume(entry);
  }

  #applyShard(entry: ShardEntry): void {
    const { network, shardId, attempt } = entry.body;
    const before = this.attempt(network, shardId, attempt);
    const after = advance(before, entry);
    if (after.state === 'running') after.spanId = this.#activity.begin(entry);
    else if (before?.state === 'running') this.#activity.end(before.spanId, entry);
    if (entry.kind === 'shard.accepted') this.#accept(entry, after);
    this.#held.set(nameOf(network, shardId, attempt), { attempt: after, changed: true });
  }

  #accept(entry: Entry<'shard.accepted'>, after: Attempt): void {
    const { asset, amount, worker } = after;
    const { network, shardId, attempt, receiptSequence } = entry.body;
    const before = this.#receiptBefore;
    const same = before?.network === network && before.sequence === receiptSequence && before.worker.toLowerCase() === worker.toLowerCase();
    const receipt = same ? before : this.#receipt.get(network, worker.toLowerCase(), receiptSequence);
    if (receipt?.shardId !== shardId || receipt.attempt !== attempt || amount === null) {
      throw new HearthlendError('RECEIPT_INVALID', { network, shard: shardId, detail: `the receipt ${receiptSequence} is not for it` });
    }
    this.earned.add(asset, namesOf(after), entry.at, { accepted: BigInt(amount), acceptedShards: 1 }, entry.sequence);
  }

  /** @throws TRANSITION_ILLEGAL for what never ran, and what was told before */
  #applyEnergy({ sequence, at, body }: Entry<'energy'>): void {
    for (const { network, shardId, attempt, millijoules, estimated } of body.runs) {
      const before = this.attempt(network, shardId, attempt);
      if (before === undefined || before.runningAt === null || before.millijoules !== null) {
        throw new HearthlendError('TRANSITION_ILLEGAL', { shard: shardId, from: before?.state ?? 'unknown', to: 'measured' });
      }
      this.#held.set(nameOf(network, shardId, attempt), { attempt: { ...before, millijoules, energyEstimated: estimated }, changed: true });
      const plus = { [estimated ? 'estimated' : 'measured']: millijoules, knownShards: 1 };
      this.earned.add(before.asset, namesOf(before), at, plus, sequence);
    }
  }

  #applyVoucher(entry: Entry<'voucher'>): void {
    const { asset, promised } = this.promises.applyVoucher(entry);
    this.earned.add(asset, { network: entry.body.network }, entry.at, { promised }, entry.sequence);
  }

  #applyClaim(entry: Entry<'claim.paid'>): void {
    const { network, asset } = this.promises.applyClaim(entry);
    this.earned.add(asset, { network }, entry.at, { paid: BigInt(entry.body.amount) }, entry.sequence);
  }

  #applyReceipt({ sequence, body: receipt }: Entry<'receipt'>, json: string): void {
    const { network, shardId } = receipt;
    const worker = receipt.worker.toLowerCase();
    const attempt = this.attempt(network, shardId, receipt.attempt);
    checkReceipt(receipt, attempt, this.receiptHead(network, worker));
    checkTransition(shardId, attempt?.state, 'accepted');
    const name = nameOf(network, shardId, receipt.attempt);
    // A receipt refers to its attempt.
    if (this.#referring && attempt !== undefined) {
      if (this.#held.get(name)?.changed === true) this.#write(attempt);
      this.#held.set(name, { attempt, changed: false });
    }
    const hash = hashReceipt(receipt);
    this.#putReceipt.run(network, worker, receipt.sequence, shardId, receipt.attempt, json, hash, sequence);
    this.#heads.set(`${network} ${worker}`, { sequence: receipt.sequence, hash });
    this.#receiptBefore = receipt;
    this.shares.add(receipt, sequence);
  }

  /** The last of a worker's receipts of a network that a co-signed batch covers; 0 where there is none. */
  lastBatched(network: string, worker: Address): number {
    return this.#lastBatch.get(network, worker.toLowerCase())?.last ?? 0;
  }

  /** @throws BATCH_INVALID */
  checkBatch(signed: SignedBatch, coordinator: Address): void {
    const { network, first, last } = signed.batch;
    const worker = signed.batch.worker.toLowerCase();
    const receipts = this.#batchedReceipts.all(network, worker, first, last);
    checkBatch(signed, coordinator, receipts, this.#lastBatch.get(network, worker), this.#signedBy);
  }

  #applyBatch({ sequence, body }: Entry<'batch'>): void {
    const { coordinator, ...signed } = body;
    this.checkBatch(signed, coordinator);
    const { network, worker, first, last, merkleRoot, headHash } = signed.batch;
    const { coordinatorSignature, workerSignature } = signed;
    const row = [network, worker.toLowerCase(), first, last, merkleRoot, headHash] as const;
    this.#putBatch.run(...row, coordinator, coordinatorSignature, workerSignature, sequence);
  }
}

/** @throws REKEY_INVALID */
function checkRekeyed(succession: Succession): void {
  if (!isSigned(succession)) throw new HearthlendError('REKEY_INVALID', { worker: succession.from, detail: 'it did not sign that' });
}

function nameOf(network: string, shardId: string, attempt: number): string {
  return `${network} ${shardId} ${attempt}`;
}

/** Of what parts an attempt is. A device that isn't on record has no name. */
function namesOf({ network, model, device }: Attempt): { network: string; model: string; device: string } {
  return { network, model, device: device ?? '' };
}
