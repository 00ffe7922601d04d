import { createWriteStream, mkdirSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AppPorts } from './app-ports.ts';
import { asHearthlendError, HearthlendError } from './contract/errors.ts';
import type { Handlers } from './contract/rpc.ts';
import type { Settings } from './contract/settings.ts';
import { storageError } from './contract/storage-error.ts';
import { assetOf } from './contract/voucher.ts';
import { channelOf } from './contract/voucher-hash.ts';
import { earningsForecast } from './earnings/forecast.ts';
import { openPrices } from './earnings/prices.ts';
import { reconcile } from './earnings/reconcile.ts';
import { earningsReport } from './earnings/report.ts';
import { taxPage, taxRows } from './earnings/tax.ts';
import { ledgerSource } from './earnings-source.ts';
import type { Engine } from './engine.ts';
import { readIncomes } from './ledger/incomes.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Models } from './model-handlers.ts';
import { shownBy } from './shown-asset.ts';

/** How often sources of prices are looked at; each is asked as often as the user said. */
const PRICES_MS = 300_000;
/** Of a page of the tax export. */
const PAGE_CHARACTERS = 256 * 1024;
/** In the data folder: where a page, which names no files, has its exports. */
const EXPORTS_FOLDER = 'exports';

type EarningsCalls = 'earnings.report' | 'earnings.forecast' | 'earnings.reconcile' | 'earnings.prices' | 'earnings.tax' | 'earnings.save';

interface EarningsParts {
  ports: AppPorts;
  ledger: Ledger;
  settings: { current: Settings };
  engine: Pick<Engine, 'inventory' | 'networks'>;
  models: Pick<Models, 'handlers'>;
  practiceDigest: string;
}

/** What was earned, seen from every side, behind the RPC table. */
export interface Earnings {
  handlers: Pick<Handlers, EarningsCalls>;
  /** The tax export into a file, in flat memory. @throws FILE_UNWRITABLE @returns how many rows it has, its first line left out */
  exportTax(path: string, fromMs: number | null, toMs: number | null): Promise<number>;
  /** What one whole unit of an asset is worth in the currency of the tariff, by the user's source; null: not known. */
  worth(asset: string): number | null;
  close(): void;
}

/** @throws DATA_DIR_UNWRITABLE where kept prices can't be read */
export function openEarnings({ ports, ledger, settings, engine, models, practiceDigest }: EarningsParts): Earnings {
  const { clock, log, dataDir } = ports;
  const ledgerPath = join(dataDir, 'ledger.db');
  const prices = openPrices({
    path: join(dataDir, 'prices.jsonl'),
    settings: () => settings.current.prices,
    clock,
    fetcher: fetch,
    onError: (asset, code, detail) => log('warn', 'a price could not be had', { asset, code, detail }),
  });
  // Without a source nobody is asked.
  const refreshing = setInterval(() => void prices.refresh(false), PRICES_MS);
  refreshing.unref();
  void prices.refresh(false);

  const source = ledgerSource(ledger);
  const shown = (asset: string) => shownBy(asset, engine.networks.joined(), settings.current);
  const taxParts = { priceAt: prices.at, shownAs: shown };

  async function modelNames(): Promise<(digest: string) => string | null> {
    const added = new Map((await models.handlers['model.list']({})).map(({ digest, name }) => [digest, name.slice(0, 300)]));
    return (digest) => added.get(digest) ?? (digest === practiceDigest ? basename(ports.parts.practiceModel) : null);
  }

  function deviceName(device: string): string | null {
    const hardware = engine.inventory();
    if (device === 'cpu') return hardware?.cpu.model ?? null;
    return hardware?.gpus.find(({ id }) => id === device)?.name ?? null;
  }

  // The first line names the columns.
  const exportTax = async (path: string, fromMs: number | null, toMs: number | null) =>
    (await writeLines(path, taxRows(readIncomes(ledgerPath, { fromMs, toMs, after: null }), taxParts))) - 1;

  return {
    handlers: {
      async 'earnings.report'(query) {
        const modelName = await modelNames();
        return ledger.reading(() =>
          earningsReport(query, {
            ...{ source, shownAs: shown, modelName, deviceName },
            electricity: settings.current.rules.electricity,
            price: (asset) => prices.latest(asset),
          }),
        );
      },
      async 'earnings.forecast'({ zone, days }) {
        return ledger.reading(() => earningsForecast({ zone, days, now: clock() }, { source, shownAs: shown }));
      },
      async 'earnings.reconcile'() {
        const rows = reconcile({ shares: ledger.shares(), channels: channelsOf(ledger), waiting: ledger.waiting() });
        return { at: clock(), networks: rows.map((row) => ({ ...row, ...shown(row.asset) })) };
      },
      async 'earnings.prices'({ refresh }) {
        if (refresh) await prices.refresh(true);
        return prices.status().map((status) => ({ ...status, symbol: shown(status.asset).symbol }));
      },
      async 'earnings.save'({ what }) {
        const folder = join(dataDir, EXPORTS_FOLDER);
        try {
          mkdirSync(folder, { recursive: true, mode: 0o700 });
        } catch (thrown) {
          throw storageError(folder, thrown);
        }
        const day = new Date(clock()).toISOString().slice(0, 10);
        const path = join(folder, `hearthlend-${what}-${day}.${what === 'json' ? 'json' : 'csv'}`);
        if (what === 'tax') return { path, rows: await exportTax(path, null, null) };
        const lines = await writeLines(path, ledger.export(what, null, null));
        return { path, rows: what === 'csv' ? lines - 1 : lines };
      },
      async 'earnings.tax'({ from, to, after }) {
        const incomes = readIncomes(ledgerPath, { fromMs: from, toMs: to, after });
        return taxPage(incomes, { first: after === null, characters: PAGE_CHARACTERS }, taxParts);
      },
    },
    exportTax,
    worth(asset) {
      const point = prices.latest(asset);
      return point?.currency === settings.current.rules.electricity.currency ? Number(point.price) : null;
    },
    close: () => clearInterval(refreshing),
  };
}

/** In flat memory. @throws FILE_UNWRITABLE @returns how many there were */
async function writeLines(path: string, lines: Iterable<string>): Promise<number> {
  let count = 0;
  const counted = function* () {
    for (const line of lines) {
      count += 1;
      yield line;
    }
  };
  try {
    await pipeline(Readable.from(counted()), createWriteStream(path, { mode: 0o600 }));
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    throw new HearthlendError('FILE_UNWRITABLE', { path, detail: asHearthlendError(cause).message }, { cause });
  }
  return count;
}

function channelsOf(ledger: Ledger): Parameters<typeof reconcile>[0]['channels'] {
  return ledger.promises.latestOfAll().map(({ network, signed: { domain, voucher }, expected }) => {
    const channel = channelOf(domain, voucher);
    return {
      ...{ channel, network, asset: assetOf(domain, voucher.asset) },
      ...{ worker: voucher.worker.toLowerCase(), payee: voucher.payee.toLowerCase(), epoch: voucher.epoch },
      ...{ cumulative: voucher.cumulativeAmount, expected, paid: ledger.promises.claimed(channel).toString() },
    };
  });
}
