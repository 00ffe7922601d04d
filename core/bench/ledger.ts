import type { EarningsQuery } from '../contract/earnings.ts';
import type { ReceiptBatch, SignedBatch, WorkReceipt } from '../contract/receipt.ts';
import { BATCH_RECEIPTS, FIRST_PREVIOUS_HASH } from '../contract/receipt.ts';
import { batchOf, hashReceipt } from '../contract/receipt-hash.ts';
import type { LedgerVerification } from '../contract/rpc.ts';
import { type Measure, measure, median } from './measure.ts';

interface Signer {
  readonly address: string;
  signBatch(batch: ReceiptBatch): string;
}

/** A ledger that is told of attempts' lives, and what is asked of it. */
export interface LedgerBench {
  signer: Signer;
  /** So many receipts are recorded before anything is measured. */
  receipts: number;
  /** Records lives in one durable transaction. */
  record(lives: readonly Life[], batch: SignedBatch | null): void;
  /** `signaturesMs`: what its signatures took of the time. */
  verify(): Promise<LedgerVerification & { signaturesMs: number }>;
  export(): Iterable<string>;
  exportTax(): Iterable<string>;
  report(query: EarningsQuery): unknown;
  forecast(): unknown;
  /** Makes a voucher for the first so many receipts; what it gives checks it, and throws where it isn't right. */
  voucher(receipts: number): () => void;
}
export interface Life {
  at: number;
  receipt: WorkReceipt;
  device: string;
}

/** leased, fetched, running, computed, submitted, receipt, accepted. */
const ENTRIES_A_LIFE = 7;
const SINGLE_LIVES = 200;
const FIRST_AT = 1_700_000_000_000;
/** A million receipts are a year. */
const APART_MS = 31_500;
const DAY_MS = 86_400_000;
const VOUCHED = 10_000;
const ROUNDS = 20;
const MODELS = 5;
const DEVICES = ['0000:01:00.0', '0000:41:00.0', 'cpu'];
/** Worth a look at the memory. */
const LOOK_ROWS = 2000;

/** Appends, verification, exports, earnings and the check of a voucher, on a ledger of so many receipts. */
export async function* measureLedger(bench: LedgerBench, quick: boolean): AsyncGenerator<Measure> {
  const { signer, record, receipts } = bench;
  let previousHash = FIRST_PREVIOUS_HASH;
  let made = 0;
  const next = (): Life => {
    made += 1;
    const at = FIRST_AT + made * APART_MS;
    const receipt = receiptFor(signer.address, made, Math.floor(at / 1000), previousHash);
    previousHash = hashReceipt(receipt);
    return { at, receipt, device: DEVICES[made % DEVICES.length] ?? 'cpu' };
  };
  const signed = (lives: Life[]): SignedBatch => {
    const batch = batchOf(lives.map(({ receipt }) => receipt));
    const signature = signer.signBatch(batch);
    return { batch, coordinatorSignature: signature, workerSignature: signature };
  };
  while (made < receipts) {
    const lives = Array.from({ length: BATCH_RECEIPTS }, next);
    record(lives, signed(lives));
    // Whoever waits for a signal is heard.
    await new Promise((resolve) => setImmediate(resolve));
  }
  const of = `ledger of ${made.toLocaleString('en')} receipts`;
  const batched = made;
  const single = Array.from({ length: SINGLE_LIVES }, next);
  const appending = performance.now();
  for (const life of single) record([life], null);
  const appendS = (performance.now() - appending) / 1000;
  yield measure(
    `${of}: appends, a task's seven entries in one durable transaction`,
    (SINGLE_LIVES * ENTRIES_A_LIFE) / appendS,
    'entries/s',
  );
  yield* measureEarnings(bench, of, FIRST_AT + made * APART_MS);
  yield* measureVoucher(bench, of, Math.min(VOUCHED, batched), quick);
  yield* measureVerify(bench, of);
  yield measureExport(bench.export(), `${of}: export to CSV`);
  yield measureExport(bench.exportTax(), `${of}: tax export to CSV`);
}

const QUERIES: { what: string; by: EarningsQuery['by']; days: number }[] = [
  { what: 'a day by the hour', by: 'hour', days: 1 },
  { what: 'a month by the day', by: 'day', days: 30 },
  { what: 'a year by the day', by: 'day', days: 365 },
  { what: 'a year by network', by: 'network', days: 365 },
  { what: 'a year by model', by: 'model', days: 365 },
  { what: 'a year by device', by: 'device', days: 365 },
];

function* measureEarnings({ report, forecast }: LedgerBench, of: string, now: number): Generator<Measure> {
  const goal = { name: 'going for', value: 5 };
  for (const { what, by, days } of QUERIES) {
    const query = { from: now - days * DAY_MS, to: now, by, zone: 'Europe/Berlin' };
    const ms = medianOf(() => report(query));
    yield measure(`${of}: earnings of ${what}, median`, ms, 'ms', { baseline: goal, ratio: ms / goal.value });
  }
  const ms = medianOf(forecast);
  yield measure(`${of}: forecast of a week, median`, ms, 'ms', { baseline: goal, ratio: ms / goal.value });
}

function* measureVoucher({ voucher }: LedgerBench, of: string, receipts: number, quick: boolean): Generator<Measure> {
  const goal = { name: 'going for', value: 1000 };
  const check = voucher(receipts);
  const ms = medianOf(check, quick ? 3 : 5);
  const name = `${of}: check of a voucher over ${receipts.toLocaleString('en')} receipts, median`;
  yield measure(name, ms, 'ms', { baseline: goal, ratio: ms / goal.value });
}

async function* measureVerify({ verify }: LedgerBench, of: string): AsyncGenerator<Measure> {
  const goal = { name: 'going for, at a million receipts', value: 10_000 };
  const from = performance.now();
  const { ok, entries, problems, signaturesMs } = await verify();
  const ms = performance.now() - from - signaturesMs;
  if (!ok) throw new Error(`the bench's own ledger is broken: ${JSON.stringify(problems[0])}`);
  const all = `${of}, ${entries.toLocaleString('en')} entries: verify`;
  yield measure(`${all}, all hashes and receipts without signatures`, ms, 'ms', { baseline: goal, ratio: ms / goal.value });
  yield measure(`${all}, its signatures alone`, signaturesMs, 'ms');
}

/** Streams it, and says what that took of time and, at most, of memory beyond what was there before. */
function measureExport(rows: Iterable<string>, what: string): Measure {
  const before = process.memoryUsage.rss();
  let [most, bytes, count] = [before, 0, 0];
  const from = performance.now();
  for (const row of rows) {
    bytes += row.length;
    count += 1;
    if (count % LOOK_ROWS === 0) most = Math.max(most, process.memoryUsage.rss());
  }
  const ms = performance.now() - from;
  const memory = `${((most - before) / 1e6).toFixed(0)} MB of memory beyond ${(before / 1e6).toFixed(0)} MB`;
  return measure(`${what}, ${(bytes / 1e6).toPrecision(3)} MB, at most ${memory}`, ms, 'ms');
}

function medianOf(act: () => unknown, rounds = ROUNDS): number {
  const times: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const from = performance.now();
    act();
    times.push(performance.now() - from);
  }
  return median(times);
}

function receiptFor(address: string, sequence: number, time: number, previousHash: string): WorkReceipt {
  const digest = String(sequence % MODELS).repeat(64);
  return {
    network: 'bench',
    jobId: 'bench',
    shardId: `s${sequence}`,
    attempt: 1,
    worker: address,
    payee: address,
    furtherPayees: [],
    modelHash: digest,
    inputHash: digest,
    outputCommitment: digest,
    units: 1,
    unitPrice: '1000000000000000',
    amount: '1000000000000000',
    asset: 'eip155:1612/slip44:60',
    time,
    sequence,
    previousHash,
  };
}
