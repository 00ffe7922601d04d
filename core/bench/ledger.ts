import type { ReceiptBatch, SignedBatch, WorkReceipt } from '../contract/receipt.ts';
import { BATCH_RECEIPTS, FIRST_PREVIOUS_HASH } from '../contract/receipt.ts';
import { batchOf, hashReceipt } from '../contract/receipt-hash.ts';
import type { LedgerVerification } from '../contract/rpc.ts';
import { type Measure, measure } from './measure.ts';

interface Signer {
  readonly address: string;
  signBatch(batch: ReceiptBatch): string;
}

/** One attempt's life as the ledger is told of it. */
export interface LedgerBench {
  signer: Signer;
  /** Records lives in one durable transaction. */
  record(lives: readonly Life[], batch: SignedBatch | null): void;
  verify(): Promise<LedgerVerification>;
  export(): Iterable<string>;
}
export interface Life {
  at: number;
  receipt: WorkReceipt;
}

/** leased, fetched, running, computed, submitted, receipt, accepted. */
const ENTRIES_A_LIFE = 7;
const SINGLE_LIVES = 200;
const DIGEST = '5'.repeat(64);
const FIRST_AT = 1_700_000_000_000;

/** Appends, verify and export of a ledger of about so many entries. */
export async function* measureLedger({ signer, record, verify, export: rows }: LedgerBench, quick: boolean): AsyncGenerator<Measure> {
  const entries = quick ? 20_000 : 1_000_000;
  let previousHash = FIRST_PREVIOUS_HASH;
  let made = 0;
  const next = (): Life => {
    made += 1;
    const at = FIRST_AT + made * 100;
    const receipt = receiptFor(signer.address, made, Math.floor(at / 1000), previousHash);
    previousHash = hashReceipt(receipt);
    return { at, receipt };
  };
  const signed = (lives: Life[]): SignedBatch => {
    const batch = batchOf(lives.map(({ receipt }) => receipt));
    const signature = signer.signBatch(batch);
    return { batch, coordinatorSignature: signature, workerSignature: signature };
  };
  while (made * ENTRIES_A_LIFE < entries) {
    const lives = Array.from({ length: BATCH_RECEIPTS }, next);
    record(lives, signed(lives));
    // Whoever waits for a signal is heard.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const of = `at ${(made * ENTRIES_A_LIFE).toLocaleString('en')} entries`;
  const single = Array.from({ length: SINGLE_LIVES }, next);
  const appending = performance.now();
  for (const life of single) record([life], null);
  const appendS = (performance.now() - appending) / 1000;
  yield measure(
    `ledger ${of}: appends, a task's seven entries in one durable transaction`,
    (SINGLE_LIVES * ENTRIES_A_LIFE) / appendS,
    'entries/s',
  );

  const verifying = performance.now();
  const verification = await verify();
  const verifyMs = performance.now() - verifying;
  if (!verification.ok) throw new Error(`the bench's own ledger is broken: ${JSON.stringify(verification.problems[0])}`);
  yield measure(`ledger ${of}: verify, all hashes, receipts and signatures`, verifyMs, 'ms');

  const exporting = performance.now();
  let bytes = 0;
  for (const row of rows()) bytes += row.length;
  yield measure(`ledger ${of}: export to CSV, ${(bytes / 1e6).toPrecision(3)} MB`, performance.now() - exporting, 'ms');
}

function receiptFor(address: string, sequence: number, time: number, previousHash: string): WorkReceipt {
  return {
    network: 'bench',
    jobId: 'bench',
    shardId: `s${sequence}`,
    attempt: 1,
    worker: address,
    payee: address,
    furtherPayees: [],
    modelHash: DIGEST,
    inputHash: DIGEST,
    outputCommitment: DIGEST,
    units: 1,
    unitPrice: '1',
    amount: '1',
    asset: 'hearth:bench/credit:practice',
    time,
    sequence,
    previousHash,
  };
}
