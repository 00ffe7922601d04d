import { existsSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { HearthlendError } from '../contract/errors.ts';
import { isPracticeCredit } from '../contract/money.ts';
import { type ProofBundle, pathOf } from '../contract/proof.ts';
import type { WorkReceipt } from '../contract/receipt.ts';
import { hashReceipt } from '../contract/receipt-hash.ts';
import { assetOf, type SignedVoucher } from '../contract/voucher.ts';
import { splitAmount } from '../contract/vouching.ts';
import { connectReader } from './connect.ts';
import { Promises } from './promises.ts';

interface BatchRow {
  first: number;
  last: number;
  worker: string;
  merkleRoot: string;
  headHash: string;
  coordinator: string;
  coordinatorSignature: string;
  workerSignature: string;
}

/**
 * What the payment of one receipt rests on, for anyone to check without this ledger. Reads only; an agent may be writing meanwhile.
 * @param network whose receipt; null: the one network that has receipts which aren't practice
 * @throws RECEIPT_UNKNOWN, SELF_ISSUED for practice, RECEIPT_UNSIGNED before both sides have signed for it, DATABASE_*
 */
export function proveReceipt(path: string, network: string | null, sequence: number): ProofBundle {
  if (!existsSync(path)) throw new HearthlendError('RECEIPT_UNKNOWN', { receipt: sequence, network: network ?? '?' });
  const db = connectReader(path);
  try {
    return prove(db, network ?? onlyNetwork(db, sequence), sequence);
  } finally {
    db.close();
  }
}

function onlyNetwork(db: Database, sequence: number): string {
  const found = db
    .prepare<[number], { network: string; body: string }>('SELECT network, body FROM receipts WHERE sequence = ?')
    .all(sequence);
  const paid = found.filter(({ body }) => !isPracticeCredit((JSON.parse(body) as WorkReceipt).asset));
  const [only, ...others] = paid.length > 0 ? paid : found;
  if (only === undefined) throw new HearthlendError('RECEIPT_UNKNOWN', { receipt: sequence, network: '?' });
  if (others.length === 0) return only.network;
  const networks = [only, ...others].map((each) => each.network).join(', ');
  throw new HearthlendError('USAGE', { detail: `Receipt ${sequence} is there in several networks: say which one (${networks})` });
}

function prove(db: Database, network: string, sequence: number): ProofBundle {
  const promises = new Promises(db);
  const receipt = promises.counted(network, sequence, sequence)[0]?.receipt as WorkReceipt | undefined;
  if (receipt === undefined) throw new HearthlendError('RECEIPT_UNKNOWN', { receipt: sequence, network });
  if (isPracticeCredit(receipt.asset)) throw new HearthlendError('SELF_ISSUED', { receipt: sequence });
  const hash = hashReceipt(receipt);
  const row = db
    .prepare<[string, number], BatchRow>('SELECT * FROM batches WHERE network = ? AND last >= ? ORDER BY last LIMIT 1')
    .get(network, sequence);
  if (row === undefined || row.first > sequence) throw new HearthlendError('RECEIPT_UNSIGNED', { receipt: sequence, network });
  const { first, last, worker, merkleRoot, headHash, coordinator, coordinatorSignature, workerSignature } = row;
  const hashes = (from: number, to: number) => promises.counted(network, from, to);
  const covering = promises.covering(network, sequence, receipt.payee);
  return {
    kind: 'hearthlend-proof',
    version: 1,
    receipt,
    batch: {
      signed: { batch: { network, worker, first, last, merkleRoot, headHash }, coordinatorSignature, workerSignature },
      coordinator,
      path: pathOf(
        hashes(first, last).map((each) => each.hash),
        hash,
      ),
    },
    voucher:
      covering === null
        ? null
        : {
            signed: covering.signed,
            signer: covering.signer,
            path: pathOf(
              hashes(covering.first, covering.last)
                .filter((each) => isCounted(each.receipt, covering.signed))
                .map((each) => each.hash),
              hash,
            ),
          },
  };
}

/** Whether a receipt of the epoch is one that the voucher's tree has: of its asset, and with a part for its payee. */
function isCounted(
  receipt: Pick<WorkReceipt, 'amount' | 'payee' | 'furtherPayees' | 'asset'>,
  { domain, voucher }: SignedVoucher,
): boolean {
  if (assetOf(domain, voucher.asset) !== receipt.asset) return false;
  return splitAmount(receipt).some(({ payee }) => payee === voucher.payee.toLowerCase());
}
