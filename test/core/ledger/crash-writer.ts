// Run by crash.test.ts: works through shards until it is killed, and says how many it recorded as accepted.
import { writeSync } from 'node:fs';
import { openLedger } from '../../../core/ledger/ledger.ts';
import { batched, DAY_MS, NETWORK, started, WORKER, workThrough } from './scene.ts';

const ledger = openLedger({ path: process.argv[2] ?? '', signer: WORKER });
const restartMs = DAY_MS + ledger.receiptHead(NETWORK).sequence * 10_000;
ledger.record([started(restartMs)]);
for (const { shardId, attempt } of ledger.unfinished()) {
  ledger.record([{ kind: 'shard.expired', at: restartMs, network: NETWORK, shardId, attempt }]);
}
// Shards that a kill cut off keep their numbers: this start takes others.
for (let number = 1_000_000 * Math.ceil(Math.random() * 1_000_000); ; number += 1) {
  workThrough(ledger, number, number, restartMs);
  const { sequence } = ledger.receiptHead(NETWORK);
  if (sequence - ledger.lastBatched(NETWORK) >= 8) ledger.record([batched(ledger, ledger.lastBatched(NETWORK) + 1, sequence, restartMs)]);
  writeSync(1, `${sequence}\n`);
}
