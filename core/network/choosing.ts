import { type MessageRef, ref } from '../contract/messages.ts';

/** What one network would give this machine to do now. */
export interface Candidate {
  network: string;
  kind: 'own' | 'paid' | 'practice';
  asset: string;
  symbol: string;
  decimals: number;
  /** What an hour of its work brings on this machine, in base units; null: not known. */
  perHour: bigint | null;
  /** What one whole unit of the asset is worth to the user, in the currency of the tariff; null: not known. */
  worth: number | null;
}

/** What an hour of work costs, whoever it is for; null: not known. */
export interface HourlyCost {
  currency: string;
  perHour: number | null;
}

export interface Choice {
  network: string;
  kind: Candidate['kind'];
  /** What is left of an hour's pay after electricity, as far as its price is known; null: the pay isn't. */
  netPerHour: number | null;
  reason: MessageRef;
}

/**
 * The order in which networks are asked for work: the owner's own jobs; then the best net pay after electricity; then those whose pay is
 * known but not what it is worth, the best of each asset; then those of which nothing is known; practice last. What is equal stays in the order given.
 */
export function byNetPay(candidates: readonly Candidate[], cost: HourlyCost): Choice[] {
  const assets = [...new Set(candidates.map(({ asset }) => asset))];
  const ranked = candidates.map((candidate) => ({ candidate, rank: rankOf(candidate), gross: grossOf(candidate) }));
  ranked.sort((a, b) => {
    if (a.rank !== b.rank) return a.rank - b.rank;
    // Electricity costs the same whoever the work is for.
    if (a.rank === NET) return (b.gross ?? 0) - (a.gross ?? 0);
    if (a.rank !== PAY) return 0;
    const apart = assets.indexOf(a.candidate.asset) - assets.indexOf(b.candidate.asset);
    return apart === 0 ? compare(b.candidate.perHour ?? 0n, a.candidate.perHour ?? 0n) : apart;
  });
  return ranked.map(({ candidate, rank, gross }) => {
    const net = gross === null ? null : gross - (cost.perHour ?? 0);
    const others = ranked.filter((each) => each.rank === rank && (rank !== PAY || each.candidate.asset === candidate.asset)).length - 1;
    return { network: candidate.network, kind: candidate.kind, netPerHour: net, reason: reasonOf(candidate, rank, net, cost, others) };
  });
}

/** What an hour of a network's work brings beyond its electricity; null where the one or the other isn't known. */
export function netPerHour(perHour: bigint, decimals: number, worth: number | null, cost: HourlyCost): number | null {
  if (worth === null || cost.perHour === null) return null;
  return wholeUnits(perHour, decimals) * worth - cost.perHour;
}

/** The most that any of these leaves of an hour's pay; null where that isn't known of any. */
export function bestNet(offers: readonly Pick<Candidate, 'perHour' | 'decimals' | 'worth'>[], cost: HourlyCost): number | null {
  const nets = offers
    .map(({ perHour, decimals, worth }) => (perHour === null ? null : netPerHour(perHour, decimals, worth, cost)))
    .filter((net) => net !== null);
  return nets.length === 0 ? null : Math.max(...nets);
}

const OWN = 0;
const NET = 1;
const PAY = 2;
const UNKNOWN = 3;
const PRACTICE = 4;

function rankOf({ kind, perHour, worth }: Candidate): number {
  if (kind === 'own') return OWN;
  if (kind === 'practice') return PRACTICE;
  if (perHour === null) return UNKNOWN;
  return worth === null ? PAY : NET;
}

function grossOf({ kind, perHour, worth, decimals }: Candidate): number | null {
  return kind !== 'paid' || perHour === null || worth === null ? null : wholeUnits(perHour, decimals) * worth;
}

function reasonOf(
  { kind, perHour, symbol, decimals }: Candidate,
  rank: number,
  net: number | null,
  cost: HourlyCost,
  others: number,
): MessageRef {
  if (kind === 'own') return ref('network.took.own');
  if (kind === 'practice') return ref('network.took.practice');
  if (rank === NET && net !== null) {
    return ref(cost.perHour === null ? 'network.took.gross' : 'network.took.net', { net: rounded(net), currency: cost.currency, others });
  }
  if (rank === PAY && perHour !== null) return ref('network.took.pay', { pay: rounded(wholeUnits(perHour, decimals)), symbol, others });
  return ref('network.took.unknown');
}

function wholeUnits(perHour: bigint, decimals: number): number {
  return Number(perHour) / 10 ** decimals;
}

/** Three digits are as much as an estimate has. */
function rounded(value: number): string {
  return value === 0 ? '0' : String(Number(value.toPrecision(3)));
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
