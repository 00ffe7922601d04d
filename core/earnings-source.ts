import type { EarnedSource } from './earnings/report.ts';
import type { Ledger } from './ledger/ledger.ts';

/** The ledger as what is said of earnings reads it. */
export function ledgerSource(ledger: Ledger): EarnedSource {
  const { earned } = ledger;
  return {
    until: (key, at) => earned.until(key, at),
    keys: (part) => earned.keys(part),
    energies: (key, from, to) => earned.energies(key, from, to),
    since: (key) => earned.since(key),
    waiting: () => ledger.waiting(),
  };
}
