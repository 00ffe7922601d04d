import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { DAY_MS, openScene, started, workThrough } from './scene.ts';

async function readOnly(path: string): Promise<unknown> {
  const folder = dirname(path);
  const module = (name: string) => JSON.stringify(join(import.meta.dirname, name));
  const script = `
    import { exportRows } from ${module('../../../core/ledger/export.ts')};
    import { openLedger } from ${module('../../../core/ledger/ledger.ts')};
    import { verifyLedger } from ${module('../../../core/ledger/verify.ts')};
    import { WORKER } from ${module('./scene.ts')};
    const path = ${JSON.stringify(path)};
    const { ok, receipts } = await verifyLedger({ path, worker: WORKER.address });
    const rows = [...exportRows(path, 'json', null, null)].length;
    let opening;
    try { openLedger({ path, signer: WORKER }); } catch (error) { opening = error.code; }
    process.stdout.write(JSON.stringify({ ok, receipts, rows, opening }));`;
  const mounts = ['--dev-bind', '/', '/', '--ro-bind', folder, folder];
  const { stdout } = await promisify(execFile)('bwrap', [...mounts, '--', process.execPath, '--input-type=module', '--eval', script]);
  return JSON.parse(stdout);
}

test('a ledger in a folder that can not be written is verified and exported, but not opened for work', async () => {
  const { ledger, path } = openScene();
  ledger.record([started(DAY_MS)]);
  workThrough(ledger, 1, 3);
  // As a crash leaves it: the last entries are still in SQLite's side file.
  const crashed = `${dirname(path)}-crashed`;
  cpSync(dirname(path), crashed, { recursive: true });
  ledger.close();
  const said = { ok: true, receipts: 3, rows: 3, opening: 'DATA_DIR_UNWRITABLE' };
  expect(await readOnly(path)).toEqual(said);
  expect(await readOnly(join(crashed, 'ledger.db'))).toEqual(said);
});
