import { HearthlendError } from '../../core/contract/errors.ts';
import { message, messageOf } from '../../core/contract/messages.ts';
import { formatBaseUnits } from '../../core/contract/money.ts';
import type { ClaimOffer, NetworkCredit } from '../../core/contract/payments.ts';
import { reachAgent } from '../agent/reach.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';

/** Decimals of every native token of a chain of Ethereum's kind: fees are paid in it. */
const FEE_DECIMALS = 18;

/** What each network owes, what of that is secured, and what a claim would bring. */
export async function runWalletBalance({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const status = await reach.client.call('payments.status', {});
    for (const network of status.networks) terminal.emit({ event: 'owed', ...network });
    if (status.gasKey !== null) terminal.emit({ event: 'gas-key', ...status.gasKey });
    if (status.networks.length === 0) terminal.text(message('cli.wallet.nothing-owed'));
    for (const network of status.networks) for (const line of owedLines(network, terminal.bold)) terminal.text(line);
    if (status.gasKey !== null) terminal.text(message('cli.wallet.gas-key', { address: status.gasKey.address }));
  } finally {
    await reach.close();
  }
  return 0;
}

function owedLines(owed: NetworkCredit, bold: (text: string) => string): string[] {
  const { network, symbol } = owed;
  const show = (amount: string | null) => (amount === null ? '?' : `${formatBaseUnits(BigInt(amount), owed.decimals)} ${symbol}`);
  const lines = [
    bold(network),
    message('cli.wallet.owed', { accepted: show(owed.accepted), promised: show(owed.promised), paid: show(owed.paid) }),
    message('cli.wallet.payable', { payable: show(owed.payable), secured: show(owed.secured), exposure: show(owed.exposure) }),
  ];
  if (owed.limit !== null) lines.push(message('cli.wallet.limit', { limit: show(owed.limit) }));
  if (owed.short !== '0') lines.push(message('cli.wallet.short', { short: show(owed.short) }));
  if (owed.withheldSince !== null) {
    const since = new Date(owed.withheldSince).toISOString();
    lines.push(message('cli.wallet.withheld', { unvouched: show(owed.unvouched), since }));
  }
  for (const reason of [owed.stopped, owed.trouble]) if (reason !== null) lines.push(`  ${messageOf(reason)}`);
  return lines;
}

export interface ClaimOptions {
  /** Null: the one network that owes something. */
  network: string | null;
  /** Don't ask. */
  yes: boolean;
}

/** Says what a claim costs and brings, and sends it where that is wanted. */
export async function runWalletClaim({ world, terminal, dataDir }: Context, { network, yes }: ClaimOptions): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  const { client } = reach;
  try {
    const { networks } = await client.call('payments.status', {});
    const owed = theOne(networks, network);
    const offer = await withProgress(
      terminal,
      () => message('cli.progress.claim'),
      client.call('payments.plan', { network: owed.network }),
    );
    terminal.emit({ event: 'claim-offer', ...offer });
    for (const line of offerLines(offer, owed)) terminal.text(line);
    if (!yes) {
      if (!world.keyboard.present) throw new HearthlendError('USAGE', { detail: message('cli.usage.claim') });
      const answer = await world.keyboard.ask(message('cli.wallet.ask.claim'), { secret: false });
      if (!/^y(es)?$/i.test(answer.trim())) throw new HearthlendError('CANCELLED');
    }
    const sent = await client.call('payments.claim', { network: owed.network });
    terminal.emit({ event: 'claim', ...sent });
    terminal.text(message('cli.wallet.claim-sent', { hash: sent.hashes.at(-1) ?? '' }));
  } finally {
    await reach.close();
  }
  return 0;
}

/** @throws NETWORK_UNKNOWN, NETWORK_UNPAID, USAGE where it has to be said which */
function theOne(networks: readonly NetworkCredit[], wanted: string | null): NetworkCredit {
  if (wanted !== null) {
    const found = networks.find(({ network }) => network === wanted);
    if (found === undefined) throw new HearthlendError('NETWORK_UNPAID', { network: wanted });
    return found;
  }
  const [only, ...others] = networks;
  if (only === undefined) throw new HearthlendError('CLAIM_NOTHING', { paid: '0' });
  if (others.length === 0) return only;
  const names = networks.map(({ network }) => network).join(', ');
  throw new HearthlendError('USAGE', { detail: message('cli.usage.claim-network', { networks: names }) });
}

/** Fees first. */
function offerLines(offer: ClaimOffer, { symbol, decimals }: NetworkCredit): string[] {
  const fee = (amount: string) => `${formatBaseUnits(BigInt(amount), FEE_DECIMALS)} ${offer.symbol}`;
  return [
    message('cli.wallet.claim-costs', { costs: fee(offer.costs), address: offer.gasAddress, balance: fee(offer.gasBalance) }),
    ...offer.parts.map(({ payee, pays, owed }) =>
      message(owed === '0' ? 'cli.wallet.claim-brings' : 'cli.wallet.claim-brings-part', {
        amount: `${formatBaseUnits(BigInt(pays), decimals)} ${symbol}`,
        owed: `${formatBaseUnits(BigInt(owed), decimals)} ${symbol}`,
        payee,
      }),
    ),
    ...(offer.verdict === 'yes' ? [] : [message(`cli.wallet.verdict.${offer.verdict}`)]),
  ];
}
