import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { type Life, measureLedger } from './bench/ledger.ts';
import type { Measure } from './bench/measure.ts';
import type { SignedBatch } from './contract/receipt.ts';
import { batchSignedBy } from './contract/receipt-hash.ts';
import type { EscrowDomain } from './contract/voucher.ts';
import { voucherDigest } from './contract/voucher-hash.ts';
import { vouchersFor } from './contract/vouching.ts';
import { shownAs } from './earnings/earnings.ts';
import { earningsForecast } from './earnings/forecast.ts';
import { earningsReport } from './earnings/report.ts';
import { taxRows } from './earnings/tax.ts';
import { ledgerSource } from './earnings-source.ts';
import { type Identity, openIdentity } from './identity/identity.ts';
import type { LedgerEvent } from './ledger/event.ts';
import { readIncomes } from './ledger/incomes.ts';
import { type Ledger, openLedger } from './ledger/ledger.ts';
import { verifyLedger } from './ledger/verify.ts';

const RECEIPTS = 1_000_000;
const QUICK_RECEIPTS = 3000;
/** What a receipt takes of the disk, with its six other entries and what is derived; verifying takes half as much again. */
const RECEIPT_BYTES = 8000;
const DOMAIN: EscrowDomain = { chainId: 1612, contract: `0x${'e5'.repeat(20)}` };

/** A ledger of a million receipts, or as many as the disk has room for twice. */
export async function* withLedger(dir: string, quick: boolean): AsyncGenerator<Measure> {
  const signer = openIdentity(join(dir, 'bench-identity.json'));
  const path = join(dir, 'bench-ledger.db');
  const { bavail, bsize } = statfsSync(dir);
  const ledger = openLedger({ path, signer });
  const source = ledgerSource(ledger);
  // A price and a tariff, so that a report reckons all that it can.
  const parts = {
    ...{ source, shownAs, modelName: () => null, deviceName: () => null },
    electricity: { currency: 'EUR', tariff: { kind: 'fixed' as const, perKwh: 0.3 } },
    price: () => ({ price: '1.5', currency: 'EUR', at: 0, source: 'manual' }),
  };
  let last = 0;
  try {
    yield* measureLedger(
      {
        signer,
        receipts: quick ? QUICK_RECEIPTS : Math.min(RECEIPTS, Math.floor((bavail * bsize) / 2 / RECEIPT_BYTES)),
        record(lives, batch) {
          last = lives.at(-1)?.at ?? last;
          ledger.record([...lives.flatMap(eventsOf), energyOf(lives), ...(batch === null ? [] : [batchEvent(lives, batch)])]);
        },
        async verify() {
          let signaturesMs = 0;
          const verification = await verifyLedger({
            path,
            worker: signer.address,
            signedBy(...signed) {
              const from = performance.now();
              const right = batchSignedBy(...signed);
              signaturesMs += performance.now() - from;
              return right;
            },
          });
          return { ...verification, signaturesMs };
        },
        export: () => ledger.export('csv', null, null),
        exportTax: () => taxRows(readIncomes(path, { fromMs: null, toMs: null, after: null }), { priceAt: parts.price, shownAs }),
        report: (query) => ledger.reading(() => earningsReport(query, parts)),
        forecast: () => ledger.reading(() => earningsForecast({ zone: 'Europe/Berlin', days: 7, now: last }, parts)),
        voucher: (receipts) => voucherCheck(ledger, signer, openIdentity(join(dir, 'bench-payer.json')), receipts),
      },
      quick,
    );
  } finally {
    ledger.close();
  }
}

function voucherCheck(ledger: Ledger, worker: Identity, payer: Identity, receipts: number): () => void {
  const counted = ledger.promises.counted('bench', worker.address, 1, receipts);
  const [voucher] = vouchersFor({ domain: DOMAIN, payer: payer.address, worker: worker.address }, counted, () => null);
  if (voucher === undefined) throw new TypeError('the receipts call for no voucher');
  const signed = { domain: DOMAIN, voucher, signature: payer.signDigest(voucherDigest(DOMAIN, voucher)) };
  const offer = { network: 'bench', first: 1, last: receipts, signed, signer: payer.address };
  return () => void ledger.promises.check(offer);
}

function batchEvent(lives: readonly Life[], { batch, coordinatorSignature }: SignedBatch): LedgerEvent {
  const at = lives.at(-1)?.at ?? 0;
  return { kind: 'batch', at, batch, coordinator: batch.worker, coordinatorSignature, workerSignature: coordinatorSignature };
}

function energyOf(lives: readonly Life[]): LedgerEvent {
  const runs = lives.map(({ receipt: { network, shardId, attempt } }) => ({
    network,
    shardId,
    attempt,
    millijoules: 2500,
    estimated: false,
  }));
  return { kind: 'energy', at: lives.at(-1)?.at ?? 0, runs };
}

function eventsOf({ at, receipt, device }: Life): LedgerEvent[] {
  const { network, shardId, attempt, jobId, asset, unitPrice, payee, modelHash, inputHash, outputCommitment, units } = receipt;
  const key = { at, network, shardId, attempt };
  const agreed = { jobId, shardKind: 'onnx.run', origin: 'own', model: modelHash, inputs: inputHash } as const;
  return [
    { kind: 'shard.leased', ...key, ...agreed, asset, priceUnit: 'run', unitPrice, payee },
    { kind: 'shard.fetched', ...key },
    { kind: 'shard.running', ...key },
    { kind: 'shard.computed', ...key, outputs: outputCommitment, outputBytes: 64, units, runMs: 1, device },
    { kind: 'shard.submitted', ...key },
    { kind: 'shard.accepted', at, receipt, audited: false },
  ];
}
