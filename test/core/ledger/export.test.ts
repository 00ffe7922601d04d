import { afterEach, expect, test } from 'vitest';
import { exportRows } from '../../../core/ledger/export.ts';
import type { Ledger } from '../../../core/ledger/ledger.ts';
import { DAY_MS, digestOf, leased, NETWORK, openScene, submittedShard, workThrough } from './scene.ts';

const opened: { ledger: Ledger }[] = [];
afterEach(() => {
  for (const { ledger } of opened.splice(0)) ledger.close();
});

function scene() {
  const fresh = openScene();
  opened.push(fresh);
  return fresh;
}

/** A reader of RFC 4180, apart from what wrote it. */
function parseCsv(text: string): string[][] {
  const rows: string[][] = [[]];
  for (const [, quoted, plain, end] of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    rows.at(-1)?.push(quoted?.replaceAll('""', '"') ?? plain ?? '');
    if (end === '\r\n') rows.push([]);
  }
  return rows.slice(0, -1);
}

test('each attempt is a row with all its facts, in CSV and in JSON', () => {
  const { ledger } = scene();
  workThrough(ledger, 1, 1);
  ledger.record(
    submittedShard(2, DAY_MS + 20_000, { asset: 'eip155:1612/slip44:60', origin: 'network', unitPrice: '1000000000000000000' }),
  );
  const json = [...ledger.export('json', null, null)].map((line) => JSON.parse(line));
  expect(json[0]).toEqual({
    time: new Date(DAY_MS + 5000).toISOString(),
    network: NETWORK,
    shard: 's1',
    job: 'j1',
    attempt: 1,
    kind: 'onnx.generate',
    origin: 'practice',
    practice: true,
    state: 'accepted',
    units: 10,
    priceUnit: 'token',
    unitPrice: '3',
    amount: '30',
    asset: 'hearth:local/credit:practice',
    model: digestOf(7),
    inputs: digestOf(1001),
    outputs: digestOf(5001),
    runMs: 12.5,
    audited: false,
    receiptSequence: 1,
    receiptHash: ledger.receiptHead(NETWORK).hash,
    leasedAt: new Date(DAY_MS).toISOString(),
    runningAt: new Date(DAY_MS + 2000).toISOString(),
    computedAt: new Date(DAY_MS + 3000).toISOString(),
    submittedAt: new Date(DAY_MS + 4000).toISOString(),
    code: null,
    reason: null,
    device: null,
    millijoules: null,
    energyEstimated: null,
  });
  expect(json[1]).toMatchObject({ practice: false, state: 'submitted', amount: '10000000000000000000', receiptHash: null });
  const [names, ...rows] = parseCsv([...ledger.export('csv', null, null)].join(''));
  expect(names).toEqual(Object.keys(json[0]));
  expect(rows).toEqual(json.map((row) => Object.values(row).map((value) => (value === null ? '' : String(value)))));
});

test('foreign text survives quoting and is never a formula', () => {
  const { ledger } = scene();
  const details = ['=HYPERLINK("http://x")', '+1', '-1', '@SUM(A1)', 'plain', 'a,b', 'say "no"', 'two\r\nlines', '\tindented', '=1,"2"\n3'];
  details.forEach((detail, number) => {
    ledger.record([
      leased(number, DAY_MS, { jobId: '-1' }),
      { kind: 'shard.failed', at: DAY_MS, network: NETWORK, shardId: `s${number}`, attempt: 1, code: '=1+1', detail },
    ]);
  });
  const [names, ...rows] = parseCsv([...ledger.export('csv', null, null)].join(''));
  const column = (name: string) => rows.map((row) => row[names?.indexOf(name) ?? -1]);
  expect(column('reason')).toEqual(details.map((detail) => `failed: ${detail}`));
  expect(column('code')).toEqual(details.map(() => "'=1+1"));
  expect(column('job')).toEqual(details.map(() => "'-1"));
});

test('only attempts that changed last in the time that is asked for are given, from its start to before its end', () => {
  const { ledger } = scene();
  workThrough(ledger, 1, 5);
  const shards = (from: number | null, to: number | null) => [...ledger.export('json', from, to)].map((line) => JSON.parse(line).shard);
  expect(shards(null, null)).toEqual(['s1', 's2', 's3', 's4', 's5']);
  expect(shards(DAY_MS + 15_000, DAY_MS + 35_000)).toEqual(['s2', 's3']);
});

test('a reader that stops early leaves nothing open, and the ledger is written meanwhile', () => {
  const { ledger, path } = scene();
  workThrough(ledger, 1, 3);
  const rows = ledger.export('csv', null, null);
  rows.next();
  rows.next();
  workThrough(ledger, 4, 4, DAY_MS + 60_000);
  rows.return();
  expect([...exportRows(`${path}.none`, 'csv', null, null)]).toHaveLength(1);
  expect([...ledger.export('csv', null, null)]).toHaveLength(5);
});
