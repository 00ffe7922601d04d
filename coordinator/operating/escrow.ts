import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import { ref } from '../../core/contract/messages.ts';
import { formatBaseUnits } from '../../core/contract/money.ts';
import type { EscrowStatus } from '../../core/contract/operating.ts';
import type { Address } from '../../core/contract/receipt.ts';
import { type EscrowDomain, tokenOf } from '../../core/contract/voucher.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import type { Store } from '../store.ts';
import { type ChannelBook, type ChannelHolding, type Liabilities, lesser, liabilitiesOf } from './liabilities.ts';

/** What the escrow contract says at one block. Amounts in base units of the token. */
export interface EscrowReading {
  deposit: { balance: bigint; thawing: bigint; thawedAt: bigint };
  /** Seconds since 1970 (exclusive); 0: never authorised. 2^64 - 1: until it is revoked. */
  signerUntil: bigint;
  /** In the order of those that were asked for. */
  channels: ChannelHolding[];
}

/** The way to the chain, from whoever runs this coordinator. @throws CHAIN_* */
export type ReadEscrow = (
  what: { domain: EscrowDomain; payer: Address; token: Address; signer: Address },
  channels: ReadonlyArray<{ worker: Address; payee: Address }>,
) => Promise<EscrowReading>;

/** This coordinator's view of its escrow against what is owed. */
export interface EscrowWatch {
  /** From what the chain said last, and the books of now. */
  status(): Promise<EscrowStatus>;
  /** Asks the chain. Never rejects: what goes wrong is in the status. */
  look(): Promise<void>;
  close(): void;
}

const LOOK_EVERY_MS = 30_000;
/** Whoever asks for the status has it looked at anew, but not more often than this. */
const LOOK_AGAIN_MS = 3000;
/** Channels that one look asks about, those first that were asked about longest ago: each takes four calls of two endpoints. */
const MOST_AT_ONCE = 100;
const FOR_EVER = 2n ** 64n - 1n;

interface WatchParts {
  store: Pick<Store, 'uncovered' | 'acceptedSince' | 'promises'>;
  terms: NetworkTerms & { settlement: NonNullable<NetworkTerms['settlement']> };
  /** Whose key signs vouchers here. */
  signer: Address;
  /** Null where this coordinator knows no way to the chain. */
  read: ReadEscrow | null;
  clock(): number;
  log: Log;
}

export function watchEscrow({ store, terms, signer, read, clock, log }: WatchParts): EscrowWatch {
  const { chainId, contract, payer } = terms.settlement;
  const domain = { chainId, contract };
  const token = tokenOf(domain, terms.asset);
  const holdings = new Map<string, { holding: ChannelHolding; at: number }>();
  let reading: Pick<EscrowReading, 'deposit' | 'signerUntil'> | null = null;
  let checkedAt: number | null = null;
  let trouble: EscrowStatus['trouble'] = read === null ? ref('CHAIN_UNKNOWN', { chainId }) : null;
  let askedAt = 0;
  let looking: Promise<void> | null = null;
  let toldMissing = false;

  async function books(): Promise<ChannelBook[]> {
    const [uncovered, promises] = await Promise.all([store.uncovered(terms.asset), store.promises()]);
    const channels = new Map<string, ChannelBook>();
    for (const { worker, payee, token: of, amount } of promises)
      if (of === token) channels.set(keyOf({ worker, payee }), { worker, payee, accepted: amount, promised: amount });
    // What a liar forfeited was covered by a voucher that promises nothing for it, and is not owed.
    for (const { worker, payee, amount } of uncovered) {
      const { promised } = channels.get(keyOf({ worker, payee })) ?? { promised: 0n };
      channels.set(keyOf({ worker, payee }), { worker, payee, accepted: promised + amount, promised });
    }
    return [...channels.values()];
  }

  function sumsOf(channels: readonly ChannelBook[]): Liabilities {
    const held = channels.map((channel) => ({ ...channel, holding: holdings.get(keyOf(channel))?.holding ?? null }));
    return liabilitiesOf(held, reading?.deposit ?? { balance: 0n, thawing: 0n });
  }

  async function ask(): Promise<void> {
    if (read === null) return;
    askedAt = clock();
    try {
      if (token === null) throw new HearthlendError('CHAIN_UNKNOWN', { chainId });
      const channels = await books();
      const oldest = channels
        .map((channel) => ({ channel, at: holdings.get(keyOf(channel))?.at ?? Number.NEGATIVE_INFINITY }))
        .sort((a, b) => a.at - b.at)
        .slice(0, MOST_AT_ONCE)
        .map(({ channel }) => channel);
      const { channels: found, ...rest } = await read({ domain, payer, token, signer }, oldest);
      const at = clock();
      for (const [index, channel] of oldest.entries()) {
        const holding = found[index];
        if (holding !== undefined) holdings.set(keyOf(channel), { holding, at });
      }
      reading = rest;
      checkedAt = at;
      const { missing } = sumsOf(channels);
      const shown = `${formatBaseUnits(missing, terms.decimals)} ${terms.symbol}`;
      if (signerState(rest.signerUntil, at).state !== 'authorised') trouble = ref('escrow.signer-unknown', { signer, payer });
      else trouble = missing > 0n ? ref('escrow.low', { missing: shown, payer }) : null;
      if (missing > 0n && !toldMissing) log('warn', 'escrow-low', { missing: missing.toString(), asset: terms.asset });
      toldMissing = missing > 0n;
    } catch (thrown) {
      const { code, params } = asHearthlendError(thrown);
      trouble = ref(code, params);
      log('warn', 'escrow-not-read', { code, detail: JSON.stringify(params) });
    }
  }

  function look(): Promise<void> {
    looking ??= ask().finally(() => {
      looking = null;
    });
    return looking;
  }

  const timer = setInterval(() => void look(), LOOK_EVERY_MS).unref();
  void look();

  return {
    look,
    close: () => clearInterval(timer),
    async status() {
      const channels = await books();
      const now = clock();
      if (Math.abs(now - askedAt) > LOOK_AGAIN_MS) void look();
      const heldBack = await store.acceptedSince(terms.asset, now - terms.holdBackMs);
      const sums = sumsOf(channels);
      const channelsRead = channels.filter((channel) => holdings.has(keyOf(channel))).length;
      const known = reading !== null;
      const text = (amount: bigint) => (known ? amount.toString() : null);
      return {
        ...{ chainId, contract, payer, asset: terms.asset, symbol: terms.symbol, decimals: terms.decimals },
        owed: {
          unvouched: sums.unvouched.toString(),
          heldBack: lesser(heldBack, sums.unvouched).toString(),
          unclaimed: text(sums.unclaimed),
          total: text(sums.total),
        },
        holds:
          reading === null
            ? null
            : {
                deposit: reading.deposit.balance.toString(),
                thawing: reading.deposit.thawing.toString(),
                thawedAt: reading.deposit.thawedAt === 0n ? null : Number(reading.deposit.thawedAt) * 1000,
                earmarked: sums.earmarked.toString(),
                earmarkThawing: sums.earmarkThawing.toString(),
              },
        ...{ covered: text(sums.covered), missing: text(sums.missing), claimed: text(sums.claimed) },
        signer: reading === null ? null : { address: signer, ...signerState(reading.signerUntil, now) },
        ...{ channels: channels.length, channelsRead, checkedAt, trouble },
      };
    },
  };
}

/** What Prometheus reads of the escrow. Nothing where the chain has not said it. */
export function escrowMetrics(metrics: Metrics, watch: EscrowWatch): void {
  const amounts = (each: Record<string, string | null | undefined>) =>
    Object.entries(each).flatMap(([kind, amount]) => (amount == null ? [] : [{ value: Number(amount), labels: { kind } }]));
  metrics.gauge('hearthlend_owed_base_units', 'What the network owes, by kind, to 53 bits.', async () => {
    const { unvouched, heldBack: held_back, unclaimed, total } = (await watch.status()).owed;
    return amounts({ unvouched, held_back, unclaimed, total });
  });
  metrics.gauge('hearthlend_escrow_base_units', 'What its escrow holds, by kind, to 53 bits.', async () => {
    const { holds, covered, missing, claimed } = await watch.status();
    const { deposit, thawing, earmarked, earmarkThawing: earmark_thawing } = holds ?? {};
    return amounts({ deposit, thawing, earmarked, earmark_thawing, covered, missing, claimed });
  });
  metrics.gauge('hearthlend_escrow_checked_seconds', 'When the chain last said so, in seconds since 1970.', async () => {
    const { checkedAt } = await watch.status();
    return checkedAt === null ? [] : [{ value: checkedAt / 1000 }];
  });
}

function signerState(until: bigint, now: number): Omit<NonNullable<EscrowStatus['signer']>, 'address'> {
  if (until === 0n) return { state: 'unknown', until: null };
  if (until === FOR_EVER) return { state: 'authorised', until: null };
  const ms = Number(until) * 1000;
  return { state: ms > now ? 'authorised' : 'revoked', until: ms };
}

function keyOf({ worker, payee }: { worker: Address; payee: Address }): string {
  return `${worker} ${payee}`.toLowerCase();
}
