import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openLedger } from '../../../core/ledger/ledger.ts';
import { verifyLedger } from '../../../core/ledger/verify.ts';
import { NETWORK, WORKER } from './scene.ts';

/** Each starts a process, which takes longer than what it writes; thousands of kills are for `npm run torture`. */
const ROUNDS = 7;

test('whatever instant its process is killed at, what it said was recorded is there, whole, and counted once', async () => {
  const path = join(mkdtempSync(join(tmpdir(), 'crash-')), 'ledger.db');
  let before = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'crash-writer.ts'), path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = 0;
    let text = '';
    const killAfter = before + 1 + ((round * 7) % 23);
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      const lines = text.split('\n').slice(0, -1);
      told = Number(lines.at(-1) ?? before);
      if (told >= killAfter) child.kill('SIGKILL');
    });
    const [, signal] = await once(child, 'exit');
    expect(signal).toBe('SIGKILL');
    const found = await verifyLedger({ path, worker: WORKER.address });
    expect(found.problems).toEqual([]);
    expect(found.receipts).toBeGreaterThanOrEqual(told);
    const ledger = openLedger({ path, signer: WORKER });
    expect(ledger.acceptedCount()).toBe(found.receipts);
    expect(ledger.receiptHead(NETWORK).sequence).toBe(found.receipts);
    before = ledger.acceptedCount();
    ledger.close();
  }
  expect(before).toBeGreaterThan(ROUNDS);
});
