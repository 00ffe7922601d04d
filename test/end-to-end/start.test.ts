import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import type { WorkReceipt } from '../../core/contract/receipt.ts';
import { descendants, hearthlend, isRunning, type Line, run, runForPeople, START, temporaryFolder } from './program.ts';

const OFTEN = { practice: { shardsPerDay: 3, minutesPerDay: 10 } };

/** What a ledger holds, read from its file. */
function readLedger(dataDir: string): { receipts: WorkReceipt[]; batches: { first: number; last: number; workerSignature: string }[] } {
  const db = new Database(join(dataDir, 'ledger.db'), { readonly: true });
  try {
    const receipts = db.prepare<[], string>('SELECT body FROM receipts ORDER BY sequence').pluck().all();
    const batches = db.prepare('SELECT first, last, workerSignature FROM batches ORDER BY last').all();
    return { receipts: receipts.map((body) => JSON.parse(body) as WorkReceipt), batches: batches as never };
  } finally {
    db.close();
  }
}

/** Fields of RFC 4180 in which no line ends. */
function csvRows(text: string): Record<string, string>[] {
  const [names = [], ...rows] = text
    .trimEnd()
    .split('\r\n')
    .map((line) =>
      [...line.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)].map((field) => field[1]?.replaceAll('""', '"') ?? field[2] ?? ''),
    );
  return rows.map((row) => Object.fromEntries(names.map((name, at) => [name, row[at] ?? ''])));
}

test('twenty shards are computed, then it ends by itself; ledger, receipts, earnings and both exports tell the same', async () => {
  const dataDir = temporaryFolder('start');
  const started = await run(dataDir, ...START, '--shards', '20');
  expect(started).toMatchObject({ code: 0, stderr: '' });
  expect(started.last).toEqual({ event: 'summary', accepted: 20, rejected: 0, failed: 0, released: 0, ms: expect.any(Number) });
  const accepted = started.lines.filter(({ event }) => event === 'accepted');
  expect(accepted).toHaveLength(20);

  const verified = await run(dataDir, 'ledger', 'verify');
  expect(verified).toMatchObject({ code: 0, lines: [{ ok: true, receipts: 20, problems: [] }] });
  const { receipts, batches } = readLedger(dataDir);
  expect(receipts.map(({ sequence }) => sequence)).toEqual(Array.from({ length: 20 }, (_, at) => at + 1));
  // Signed by both sides, from the first receipt to the last, without a gap.
  expect(batches.at(0)?.first).toBe(1);
  expect(batches.at(-1)?.last).toBe(20);
  for (const [at, { first, workerSignature }] of batches.entries()) {
    expect(first).toBe((batches[at - 1]?.last ?? 0) + 1);
    expect(workerSignature).toMatch(/^0x[0-9a-f]{130}$/);
  }

  const total = receipts.reduce((sum, { amount }) => sum + BigInt(amount), 0n);
  for (const { amount, units, unitPrice } of receipts) expect(BigInt(amount)).toBe(BigInt(units) * BigInt(unitPrice));
  const { lines: earnings } = await run(dataDir, 'earnings');
  const sums = { accepted: String(total), expected: '0', promised: '0', paid: '0', acceptedShards: 20 };
  expect(earnings).toMatchObject([{ asset: 'hearth:local/credit:practice', practice: true, ...sums }]);

  const json = (await run(dataDir, 'ledger', 'export', '--format', 'json')).lines;
  const csv = csvRows((await runForPeople(dataDir, 'ledger', 'export', '--format', 'csv')).stdout);
  const asText = (row: Line) => Object.fromEntries(Object.entries(row).map(([name, value]) => [name, value === null ? '' : String(value)]));
  expect(json.map(asText)).toEqual(csv);
  const exported = json.filter(({ state }) => state === 'accepted').sort((a, b) => Number(a.receiptSequence) - Number(b.receiptSequence));
  expect(exported.map((row) => [row.shard, row.amount, row.units, row.model, row.inputs, row.outputs])).toEqual(
    receipts.map((each) => [each.shardId, each.amount, each.units, each.modelHash, each.inputHash, each.outputCommitment]),
  );
  expect(accepted.map(({ shard, amount }) => [shard, amount])).toEqual(receipts.map(({ shardId, amount }) => [shardId, amount]));
});

test('the first Ctrl-C finishes the shard, hands it in and signs for it; nothing stays behind', async () => {
  const dataDir = temporaryFolder('finish');
  const agent = hearthlend(dataDir, ...START, '--shards', '1000');
  await agent.event('accepted');
  const workers = process.platform === 'linux' ? descendants(agent.process.pid ?? 0) : [];
  // Read while it is being written.
  expect(await run(dataDir, 'ledger', 'verify')).toMatchObject({ code: 0, last: { ok: true } });
  agent.process.kill('SIGINT');
  const { code } = await agent.ended;
  expect(code).toBe(0);
  const summary = agent.lines.at(-1);
  expect(summary).toMatchObject({ event: 'summary', failed: 0, rejected: 0 });
  const { receipts, batches } = readLedger(dataDir);
  expect(receipts).toHaveLength(Number(summary?.accepted));
  expect(batches.at(-1)?.last).toBe(receipts.length);
  expect((await run(dataDir, 'ledger', 'verify')).last).toMatchObject({ ok: true, receipts: receipts.length });
  expect(workers.filter(isRunning)).toEqual([]);
});

test('the second Ctrl-C leaves at once, and what was accepted stays', async () => {
  const dataDir = temporaryFolder('leave');
  const agent = hearthlend(dataDir, ...START, '--shards', '1000');
  await agent.event('accepted');
  agent.process.kill('SIGTERM');
  agent.process.kill('SIGINT');
  const { signal } = await agent.ended;
  expect(signal).toBeNull();
  const accepted = agent.lines.filter(({ event }) => event === 'accepted').length;
  const verified = await run(dataDir, 'ledger', 'verify');
  expect(verified.last).toMatchObject({ ok: true });
  expect(Number(verified.last.receipts)).toBeGreaterThanOrEqual(accepted);
  expect((await run(dataDir, ...START, '--shards', '1')).last).toMatchObject({ event: 'summary', accepted: 1 });
});

test('practice ends by itself at its quota, a restart does not begin the day anew, and --shards goes beyond it', async () => {
  const dataDir = temporaryFolder('quota');
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify(OFTEN), { mode: 0o600 });
  const first = hearthlend(dataDir, ...START);
  expect(await first.event('state', { name: 'proven' })).toMatchObject({ reason: { key: 'reason.proven' } });
  first.process.kill('SIGINT');
  expect((await first.ended).code).toBe(0);
  expect(first.lines.at(-1)).toMatchObject({ event: 'summary', accepted: 3 });

  const again = hearthlend(dataDir, ...START);
  await again.event('state', { name: 'proven' });
  again.process.kill('SIGINT');
  await again.ended;
  expect(again.lines.at(-1)).toMatchObject({ event: 'summary', accepted: 0, failed: 0, released: 0 });

  expect((await run(dataDir, ...START, '--shards', '2')).last).toMatchObject({ event: 'summary', accepted: 2 });
  expect((await run(dataDir, 'earnings')).last).toMatchObject({ acceptedShards: 5, acceptedShardsToday: 5 });
});

test('where the minutes of a day are used up it is proven as well, and --shards goes beyond them', async () => {
  const dataDir = temporaryFolder('minutes');
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify({ practice: { shardsPerDay: 200, minutesPerDay: 0 } }), { mode: 0o600 });
  const agent = hearthlend(dataDir, ...START);
  await agent.event('state', { name: 'proven' });
  agent.process.kill('SIGINT');
  await agent.ended;
  expect(agent.lines.at(-1)).toMatchObject({ accepted: 0 });
  expect((await run(dataDir, ...START, '--shards', '2')).last).toMatchObject({ event: 'summary', accepted: 2 });
});
