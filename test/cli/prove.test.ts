import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assetOf, NATIVE_TOKEN } from '../../core/contract/voucher.ts';
import { openLedger } from '../../core/ledger/ledger.ts';
import { accepted, batched, DAY_MS, receiptFor, submittedShard, WORKER, workThrough } from '../core/ledger/scene.ts';
import { openConsole } from './console.ts';

/** A ledger that has practice as receipt 1 and paid work as receipt 2. */
function fillLedger(dataDir: string): void {
  const ledger = openLedger({ path: join(dataDir, 'ledger.db'), signer: WORKER });
  const asset = assetOf({ chainId: 31_337, contract: `0x${'ab'.repeat(20)}` }, NATIVE_TOKEN);
  workThrough(ledger, 1, 1);
  ledger.record(submittedShard(2, DAY_MS + 2000, { asset, origin: 'network' }));
  ledger.record([accepted(receiptFor(ledger, 2, { asset }), DAY_MS + 2010)]);
  ledger.record([batched(ledger, 1, 2, DAY_MS + 3000)]);
  ledger.close();
}

test('a receipt is proven into a file that verifies anywhere; a changed one fails, and practice is refused', async () => {
  const { dataDir, run } = openConsole(() => {
    throw new Error('no agent is needed');
  });
  fillLedger(dataDir);
  const out = join(dataDir, 'proof.json');
  const proved = run('ledger', 'prove', '--receipt', '2', '--out', out);
  expect(await proved.exitCode).toBe(0);
  expect(proved.stdout.text).toContain('hearthlend verify FILE');
  const verified = run('verify', out);
  expect(await verified.exitCode).toBe(0);
  expect(verified.stdout.text).toContain('The proof holds.');
  expect(verified.stdout.text).toContain('not yet: the receipt is in the voucher');

  writeFileSync(out, readFileSync(out, 'utf8').replace('"amount": "30"', '"amount": "31"'));
  const broken = run('verify', out, '--json');
  expect(await broken.exitCode).toBe(1);
  expect(broken.stdout.json().at(-1)).toMatchObject({ event: 'proof', ok: false });

  const practice = run('ledger', 'prove', '--receipt', '1', '--json');
  expect(await practice.exitCode).toBe(1);
  expect(practice.stdout.json().at(-1)).toMatchObject({ event: 'error', code: 'SELF_ISSUED' });
  writeFileSync(out, '{"kind":"hearthlend-proof"}');
  const nonsense = run('verify', out, '--json');
  expect(await nonsense.exitCode).toBe(1);
  expect(nonsense.stdout.json().at(-1)).toMatchObject({ event: 'error', code: 'PROOF_INVALID' });
});
