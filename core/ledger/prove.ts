import { existsSync } from 'node:fs';
import type { Database } from 'better-sqlite3';
import { HearthlendError } from '../contract/errors.ts';
import { isPracticeCredit } from '../contract/money.ts';
import { type ProofBundle, pathOf } from '../contract/proof.ts';
import type { Address, WorkReceipt } from '../contract/receipt.ts';
import { hashReceipt } from '../contract/receipt-hash.ts';
import { assetOf, type SignedVoucher } from '../contract/voucher.ts';
import { splitAmount } from '../contract/vouching.ts';
import { connectReader } from './connect.ts';
import { Promises } from './promises.ts';

interface BatchRow {
  first: number;
  last: number;
  merkleRoot: string;
  headHash: string;
  coordinator: string;
  coordinatorSignature: string;
  workerSignature: string;
}

/**
 * What the payment of one receipt rests on, for anyone to check without this ledger. Reads only; an agent may be writing meanwhile.
 * @param of whose receipt: of which network, and of which worker where this machine was several. Null: the only one that isn't practice
 * @throws RECEIPT_UNKNOWN, SELF_ISSUED for practice, RECEIPT_UNSIGNED before both sides have signed for it, DATABASE_*
 */
export function proveReceipt(path: string, of: { network: string | null; worker: Address | null }, sequence: number): ProofBundle {
  if (!existsSync(path)) throw new HearthlendError('RECEIPT_UNKNOWN', { receipt: sequence, network: of.network ?? '?' });
  const db = connectReader(path);
  try {
    return prove(db, theOnly(db, of, sequence));
  } finally {
    db.close();
  }
}

/** @throws RECEIPT_UNKNOWN, USAGE where several are meant */
function theOnly(db: Database, { network, worker }: { network: string | null; worker: Address | null }, sequence: number): WorkReceipt {
  const found = db
    .prepare<[{ network: string | null; worker: string | null; sequence: number }], string>(
      `SELECT body FROM receipts
        WHERE sequence = :sequence AND network = ifnull(:network, network) AND worker = ifnull(:worker, worker) ORDER BY network, worker`,
    )
    .pluck()
    .all({ network, worker: worker?.toLowerCase() ?? null, sequence })
    .map((body) => JSON.parse(body) as WorkReceipt);
  const paid = found.filter(({ asset }) => !isPracticeCredit(asset));
  const [only, ...others] = paid.length > 0 ? paid : found;
  if (only === undefined) throw new HearthlendError('RECEIPT_UNKNOWN', { receipt: sequence, network: network ?? '?' });
  if (others.length === 0) return only;
  const each = [only, ...others].map((receipt) => `${receipt.network} ${receipt.worker}`).join(', ');
  throw new HearthlendError('USAGE', { detail: `Receipt ${sequence} is there several times: say of which network and worker (${each})` });
}

function prove(db: Database, receipt: WorkReceipt): ProofBundle {
  const promises = new Promises(db);
  const { network, worker, sequence } = receipt;
  if (isPracticeCredit(receipt.asset)) throw new HearthlendError('SELF_ISSUED', { receipt: sequence });
  const hash = hashReceipt(receipt);
  const row = db
    .prepare<[string, string, number], BatchRow>(
      'SELECT * FROM batches WHERE network = ? AND worker = ? AND last >= ? ORDER BY last LIMIT 1',
    )
    .get(network, worker.toLowerCase(), sequence);
  if (row === undefined || row.first > sequence) throw new HearthlendError('RECEIPT_UNSIGNED', { receipt: sequence, network });
  const { first, last, merkleRoot, headHash, coordinator, coordinatorSignature, workerSignature } = row;
  const hashes = (from: number, to: number) => promises.counted(network, worker, from, to);
  const covering = promises.covering(network, worker, sequence, receipt.payee);
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
