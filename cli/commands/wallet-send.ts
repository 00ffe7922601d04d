import { type ChainConfig, NATIVE_DECIMALS } from '../../core/contract/chain.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { formatBaseUnits, parseBaseUnits } from '../../core/contract/money.ts';
import { assetNamed, type SendOffer } from '../../core/contract/sending.ts';
import { createWalletClient } from '../../core/contract/wallet-client.ts';
import { type Reach, reachAgent } from '../agent/reach.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { askPassword, openAnswers } from './wallet-answers.ts';

export interface SendOptions {
  to: string;
  amount: string;
  /** Null: the chain's native token. */
  asset: string | null;
  /** Null: the one chain that is set up. */
  chainId: number | null;
  yes: boolean;
  yesNewAddress: boolean;
  passwordStdin: boolean;
}

/** Says what a send costs and what the wallet reads, and sends it where that is wanted. Unlocks the wallet for it where it is locked. */
export async function runWalletSend(context: Context, options: SendOptions): Promise<ExitCode> {
  const { world, terminal, dataDir } = context;
  const reach = await reachAgent(world, dataDir);
  const { client } = reach;
  let opened = false;
  try {
    const { chainId } = await chainFor(reach, options.chainId);
    const status = await client.call('wallet.status', {});
    if (status.kind === 'own' && !status.unlocked) {
      const password = await askPassword(await openAnswers(world.keyboard, options.passwordStdin), 'cli.wallet.ask.password');
      opened = true;
      await withProgress(terminal, () => message('cli.progress.wallet'), createWalletClient(client.call).unlock(password));
    }
    const { to, amount, asset } = options;
    const asking = client.call('payments.send-plan', { chainId, to, amount, asset });
    const offer = await withProgress(terminal, () => message('cli.progress.claim'), asking);
    terminal.emit({ event: 'send-offer', ...offer });
    for (const line of offerLines(offer)) terminal.text(line);
    if (offer.alike !== null && !options.yesNewAddress) {
      throw new HearthlendError('SEND_LOOKS_ALIKE', { address: offer.to, known: offer.alike });
    }
    if (!options.yes) {
      if (!world.keyboard.present) throw new HearthlendError('USAGE', { detail: message('cli.usage.send') });
      const answer = await world.keyboard.ask(message('cli.wallet.ask.send'), { secret: false });
      if (!/^y(es)?$/i.test(answer.trim())) throw new HearthlendError('CANCELLED');
    }
    const { seen, costs } = offer;
    // The address that was shown, whatever its name stands for by now.
    const confirmed = { chainId, to: offer.to, amount, asset, seen, costs, newAddress: options.yesNewAddress };
    const sent = await client.call('payments.send', confirmed);
    terminal.emit({ event: 'send', ...sent });
    terminal.text(message('cli.wallet.sent', { hash: sent.hashes.at(-1) ?? '' }));
  } finally {
    if (opened) await client.call('wallet.lock', {}).catch(() => undefined);
    await reach.close();
  }
  return 0;
}

export interface LimitOptions {
  amount: string;
  asset: string | null;
  chainId: number | null;
  passwordStdin: boolean;
}

/** Lets the wallet send so much within a day. The password says that its owner wants it. */
export async function runWalletLimit({ world, terminal, dataDir }: Context, options: LimitOptions): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  const { client } = reach;
  try {
    const { asset, symbol, decimals } = assetNamed(await chainFor(reach, options.chainId), options.asset);
    const amount = parseBaseUnits(options.amount, decimals);
    if (amount === null) throw new HearthlendError('SEND_AMOUNT_INVALID', { amount: options.amount, symbol, decimals });
    const { unlocked } = await client.call('wallet.status', {});
    const password = await askPassword(await openAnswers(world.keyboard, options.passwordStdin), 'cli.wallet.ask.password');
    const setting = createWalletClient(client.call).limit({ password, asset, perDay: amount.toString() });
    await withProgress(terminal, () => message('cli.progress.wallet'), setting);
    if (!unlocked) await client.call('wallet.lock', {});
    terminal.emit({ event: 'limit', asset, perDay: amount.toString() });
    terminal.text(message('cli.wallet.limited', { amount: `${formatBaseUnits(amount, decimals)} ${symbol}` }));
  } finally {
    await reach.close();
  }
  return 0;
}

/** @throws CHAIN_UNKNOWN, USAGE where it has to be said which */
async function chainFor({ client }: Reach, wanted: number | null): Promise<ChainConfig> {
  const { chains } = await client.call('settings.get', {});
  const [first, ...others] = wanted === null ? chains : chains.filter(({ chainId }) => chainId === wanted);
  if (first === undefined) throw new HearthlendError('CHAIN_UNKNOWN', { chainId: String(wanted ?? '?') });
  if (others.length === 0) return first;
  const names = chains.map(({ chainId, name }) => `${chainId} ${name}`).join(', ');
  throw new HearthlendError('USAGE', { detail: message('cli.usage.send-chain', { chains: names }) });
}

/** Fees first; the last line is the signer's own. */
function offerLines(offer: SendOffer): string[] {
  const { from, to, contact, sentBefore, alike } = offer;
  const lines = [
    message('cli.wallet.send-costs', { costs: `${formatBaseUnits(BigInt(offer.costs), NATIVE_DECIMALS)} ${offer.costsSymbol}` }),
    message('cli.wallet.send-what', { amount: `${formatBaseUnits(BigInt(offer.amount), offer.decimals)} ${offer.symbol}`, from, to }),
  ];
  if (contact !== null) lines.push(message('cli.wallet.send-contact', { to, name: contact }));
  else if (!sentBefore) lines.push(message('cli.wallet.send-new', { to }));
  if (alike !== null) lines.push(message('cli.wallet.send-alike', { to, known: alike }));
  return [...lines, message('cli.wallet.send-words', { words: message(offer.words.key, offer.words.params) })];
}
