import type { Divergence, ReconciledNetwork } from '../contract/earnings.ts';
import { type Amount, type AssetId, isPracticeCredit } from '../contract/money.ts';
import type { Address } from '../contract/receipt.ts';

/** What is on record of every network's pay. Addresses in small letters, amounts in base units. */
export interface PayRecord {
  /** What receipts give to each payee; `receipts` counts those that are its own. */
  shares: ReadonlyArray<{ network: string; worker: Address; asset: AssetId; payee: Address; amount: Amount; receipts: number }>;
  /** The last voucher of each channel, what it should say by its receipts, and what was paid of it. */
  channels: ReadonlyArray<{
    channel: string;
    network: string;
    worker: Address;
    asset: AssetId;
    payee: Address;
    epoch: number;
    cumulative: Amount;
    expected: Amount;
    paid: Amount;
  }>;
  /** Computed, and not accepted yet. */
  waiting: ReadonlyArray<{ network: string; asset: AssetId; amount: Amount }>;
}

type Row = Omit<ReconciledNetwork, 'symbol' | 'decimals'>;

/**
 * The four numbers of each network and asset, and every reason why they differ, to the last unit:
 * accepted = paid + not-claimed + short − over + not-vouched + other-payees. Pure; practice, which nobody vouches for, is left out.
 */
export function reconcile({ shares, channels, waiting }: PayRecord): Row[] {
  const names = new Map<string, { network: string; asset: AssetId }>();
  for (const { network, asset } of [...shares, ...channels, ...waiting]) {
    if (!isPracticeCredit(asset)) names.set(`${network} ${asset}`, { network, asset });
  }
  return [...names.values()]
    .sort((a, b) => (a.network === b.network ? (a.asset < b.asset ? -1 : 1) : a.network < b.network ? -1 : 1))
    .map(({ network, asset }) => {
      const of = <T extends { network: string; asset: AssetId }>(all: readonly T[]) =>
        all.filter((each) => each.network === network && each.asset === asset);
      return reconciled(network, asset, of(shares), of(channels), total(of(waiting).map(({ amount }) => amount)));
    });
}

function reconciled(network: string, asset: AssetId, shares: PayRecord['shares'], channels: PayRecord['channels'], expected: bigint): Row {
  const divergences: Divergence[] = [];
  const diverge = (kind: Divergence['kind'], amount: bigint, channel: string | null) => {
    if (amount > 0n) divergences.push({ kind, amount: amount.toString(), channel });
  };
  diverge('not-accepted', expected, null);
  for (const { worker, payee, amount, receipts } of shares) {
    const own = channels.filter((each) => each.worker === worker && each.payee === payee);
    const uncovered = BigInt(amount) - total(own.map((each) => each.expected));
    const channel = own.length === 1 ? (own[0]?.channel ?? null) : null;
    diverge(receipts > 0 ? 'not-vouched' : 'other-payees', uncovered, channel);
    // More receipts counted than there are: whatever made it so, it is told.
    diverge('over', -uncovered, channel);
  }
  for (const { channel, worker, payee, cumulative, expected: right, paid } of channels) {
    const known = shares.some((each) => each.worker === worker && each.payee === payee);
    if (!known) diverge('over', BigInt(right), channel);
    diverge('short', BigInt(right) - BigInt(cumulative), channel);
    diverge('over', BigInt(cumulative) - BigInt(right), channel);
    diverge('not-claimed', BigInt(cumulative) - BigInt(paid), channel);
  }
  return {
    network,
    asset,
    expected: expected.toString(),
    accepted: total(shares.map(({ amount }) => amount)).toString(),
    promised: total(channels.map(({ cumulative }) => cumulative)).toString(),
    paid: total(channels.map(({ paid }) => paid)).toString(),
    channels: channels.map(({ channel, payee, epoch, cumulative, expected: receipts, paid }) => {
      return { channel, payee, epochs: epoch, promised: cumulative, receipts, paid };
    }),
    divergences,
  };
}

function total(amounts: readonly Amount[]): bigint {
  return amounts.reduce((sum, amount) => sum + BigInt(amount), 0n);
}
