// Run by read-only.test.ts with a ledger in a folder that can't be written: what can be said of it?
import { HearthlendError } from '../../../core/contract/errors.ts';
import { exportRows } from '../../../core/ledger/export.ts';
import { openLedger } from '../../../core/ledger/ledger.ts';
import { verifyLedger } from '../../../core/ledger/verify.ts';
import { WORKER } from './scene.ts';

const path = process.argv[2] ?? '';
const { ok, receipts } = await verifyLedger({ path, worker: WORKER.address });
const rows = [...exportRows(path, 'json', null, null)].length;
let opening: string | undefined;
try {
  openLedger({ path, signer: WORKER });
} catch (thrown) {
  if (thrown instanceof HearthlendError) opening = thrown.code;
}
process.stdout.write(JSON.stringify({ ok, receipts, rows, opening }));
