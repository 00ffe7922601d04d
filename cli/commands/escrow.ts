import { join } from 'node:path';
import { CHAIN_PRESETS, ChainConfig, NATIVE_DECIMALS } from '../../core/contract/chain.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { type MessageKey, message, messageOf } from '../../core/contract/messages.ts';
import { formatBaseUnits, parseBaseUnits } from '../../core/contract/money.ts';
import { assetNamed, type SendableAsset } from '../../core/contract/sending.ts';
import { NATIVE_TOKEN } from '../../core/contract/voucher.ts';
import { createWalletClient } from '../../core/contract/wallet-client.ts';
import type { EscrowAct } from '../../core/settlement/escrow-acts.ts';
import { walletHandlers } from '../../core/wallet-handlers.ts';
import type { EscrowDesk, PlannedAct } from '../operator/escrow-desk.ts';
import { OPERATOR_FOLDER } from '../operator/request.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { askNewPassword, askPassword, openAnswers } from './wallet-answers.ts';
import { showWords } from './wallet-words.ts';

const FOR_EVER = 2n ** 64n - 1n;

async function atDesk(context: Context, work: (desk: EscrowDesk) => Promise<void>): Promise<ExitCode> {
  const desk = await context.world.escrowDesk(join(context.dataDir, OPERATOR_FOLDER));
  try {
    await work(desk);
    return 0;
  } finally {
    await desk.close();
  }
}

const walletOf = (desk: EscrowDesk) => {
  const handlers = walletHandlers(desk.wallet);
  // The payer's wallet is of this process: the same sealed calls, without a way between.
  return createWalletClient(((call: keyof typeof handlers, input: never) => handlers[call](input)) as never);
};

export function runPayerCreate(
  context: Context,
  { passwordStdin, reveal }: { passwordStdin: boolean; reveal: boolean },
): Promise<ExitCode> {
  return atDesk(context, async (desk) => {
    const { world, terminal } = context;
    refuseSecond(desk);
    const password = await askNewPassword(await openAnswers(world.keyboard, passwordStdin));
    const wallet = walletOf(desk);
    const { status, words } = await withProgress(terminal, () => message('cli.progress.wallet'), wallet.create(password));
    terminal.text(message('escrow.key.created', { address: status.address ?? '' }));
    await showWords(context, { words, reveal, confirm: (again) => wallet.confirm(again), mustConfirm: true });
    terminal.emit({ event: 'payer', address: status.address, ...(reveal ? { words: words.words } : {}) });
  });
}

export function runPayerImport(
  context: Context,
  { kind, passwordStdin }: { kind: 'words' | 'key'; passwordStdin: boolean },
): Promise<ExitCode> {
  return atDesk(context, async (desk) => {
    const { world, terminal } = context;
    refuseSecond(desk);
    const answers = await openAnswers(world.keyboard, passwordStdin);
    const secret = await askPassword(answers, kind === 'words' ? 'cli.wallet.ask.words' : 'cli.wallet.ask.key');
    const from = kind === 'words' ? ({ kind, words: secret } as const) : ({ kind, key: secret } as const);
    const password = await askNewPassword(answers);
    const importing = walletOf(desk).import({ password, oldPassword: null, from });
    const { address } = await withProgress(terminal, () => message('cli.progress.wallet'), importing);
    terminal.text(message('escrow.key.imported', { address: address ?? '' }));
    terminal.emit({ event: 'payer', address });
  });
}

export interface ChainTyped {
  id: number | null;
  rpc: string[];
  name: string | null;
  symbol: string | null;
  confirmations: number | null;
  contract: string | null;
  tokens: { address: string; symbol: string; decimals: number }[];
}

/** Names the chain of the escrow and where it is asked; what is left out stays as it was, or is what is known of that chain. */
export function runEscrowChain(context: Context, typed: ChainTyped): Promise<ExitCode> {
  return atDesk(context, async (desk) => {
    const before = typed.id === null ? desk.chain() : (CHAIN_PRESETS.find(({ chainId }) => chainId === typed.id) ?? null);
    const chainId = typed.id ?? before?.chainId;
    const { name, symbol, confirmations, contract, rpc, tokens } = typed;
    const draft = {
      ...(before ?? {
        chainId,
        name: `chain ${chainId}`,
        rpc: [],
        explorer: null,
        symbol: 'ETH',
        confirmations: 12,
        tokens: [],
        escrow: null,
        test: false,
      }),
      ...(name === null ? {} : { name }),
      ...(symbol === null ? {} : { symbol }),
      ...(confirmations === null ? {} : { confirmations }),
      ...(contract === null ? {} : { escrow: contract }),
      ...(rpc.length === 0 ? {} : { rpc }),
      ...(tokens.length === 0 ? {} : { tokens }),
    };
    const config = ChainConfig.safeParse(draft);
    if (!config.success) throw new HearthlendError('USAGE', { detail: message('escrow.usage.chain') });
    await withProgress(context.terminal, () => message('escrow.asking'), desk.nameChain(config.data));
    // Of an endpoint the host alone: its path may hold the operator's key for it.
    const hosts = config.data.rpc.map((url) => new URL(url).host);
    context.terminal.emit({ event: 'chain', ...config.data, rpc: hosts });
    context.terminal.text(
      message('escrow.chain', { name: config.data.name, chainId: String(config.data.chainId), hosts: hosts.join(', ') }),
    );
    if (hosts.length === 1) context.terminal.note(message('escrow.chain-alone'));
  });
}

export interface ActTyped {
  /** Whole units; null where the act has none. */
  amount: string | null;
  /** By symbol or address; null: the native token. */
  asset: string | null;
  yes: boolean;
  passwordStdin: boolean;
}

/** One act of the payer: what it costs first and what its signer reads, then, once somebody agrees, done and waited for. */
export function runEscrowAct(
  context: Context,
  typed: ActTyped,
  actOf: (parts: { asset: SendableAsset; amount: bigint; coordinator: string }) => EscrowAct,
): Promise<ExitCode> {
  return atDesk(context, async (desk) => {
    const { world, terminal } = context;
    if (desk.wallet.status().address === null) throw new HearthlendError('PAYER_MISSING');
    const asset = assetNamed(desk.chain(), typed.asset);
    const amount = typed.amount === null ? 0n : parseBaseUnits(typed.amount, asset.decimals);
    if (amount === null || (typed.amount !== null && amount === 0n)) {
      throw new HearthlendError('SEND_AMOUNT_INVALID', { amount: typed.amount ?? '', symbol: asset.symbol, decimals: asset.decimals });
    }
    const act = actOf({ asset, amount, coordinator: desk.coordinator });
    const password = await askPassword(await openAnswers(world.keyboard, typed.passwordStdin), 'cli.wallet.ask.password');
    await withProgress(terminal, () => message('cli.progress.wallet'), walletOf(desk).unlock(password));
    if (act.kind === 'deposit' && act.token !== NATIVE_TOKEN && (await desk.allowance(act.token)) < act.amount) {
      await perform(context, desk, { kind: 'approve', token: act.token, amount: act.amount }, typed.yes);
    }
    await perform(context, desk, act, typed.yes);
    if (act.kind === 'deploy') tellTerms(context, desk);
  });
}

async function perform(context: Context, desk: EscrowDesk, act: EscrowAct, yes: boolean): Promise<void> {
  const { world, terminal } = context;
  const planned = await withProgress(terminal, () => message('escrow.asking'), desk.plan(act));
  const { symbol } = desk.chain();
  terminal.emit({
    event: 'escrow-plan',
    act: act.kind,
    costs: planned.costs.toString(),
    balance: planned.balance.toString(),
    words: planned.words,
  });
  for (const line of planLines(planned, symbol)) terminal.text(line);
  if (!yes) {
    if (!world.keyboard.present) throw new HearthlendError('USAGE', { detail: message('escrow.usage.yes') });
    const answer = await world.keyboard.ask(message('escrow.ask'), { secret: false });
    if (!/^y(es)?$/i.test(answer.trim())) throw new HearthlendError('CANCELLED');
  }
  let confirmations = 0;
  const sending = desk.perform(planned, (count) => {
    confirmations = count;
  });
  const wanted = desk.chain().confirmations;
  const done = await withProgress(terminal, () => message('escrow.waiting', { confirmations, wanted }), sending);
  terminal.emit({
    event: 'escrow',
    act: act.kind,
    hash: done.hashes.at(-1) ?? '',
    block: done.block?.number ?? null,
    contract: desk.chain().escrow,
  });
  terminal.text(message('escrow.done', { hash: done.hashes.at(-1) ?? '' }));
}

function planLines({ costs, balance, words }: PlannedAct, symbol: string): string[] {
  const shown = (amount: bigint) => `${formatBaseUnits(amount, NATIVE_DECIMALS)} ${symbol}`;
  return [message('escrow.costs', { costs: shown(costs), balance: shown(balance) }), message('escrow.words', { words: messageOf(words) })];
}

/** What the terms of the network have to say for this escrow to pay its vouchers. */
function tellTerms({ terminal }: Context, desk: EscrowDesk): void {
  const { chainId, escrow } = desk.chain();
  const settlement = { chainId, contract: escrow, payer: desk.wallet.status().address };
  terminal.emit({ event: 'terms', settlement });
  terminal.text(message('escrow.terms', { settlement: JSON.stringify({ settlement }) }));
}

/** What the escrow holds, by the chain itself; works without a running coordinator. */
export function runEscrowStatus(context: Context): Promise<ExitCode> {
  return atDesk(context, async (desk) => {
    const { terminal } = context;
    const { contract, thawSeconds, payer, signerUntil, holdings } = await withProgress(
      terminal,
      () => message('escrow.asking'),
      desk.look(),
    );
    const { chainId, name } = desk.chain();
    const authorised = signerUntil > BigInt(Math.floor(context.world.clock() / 1000));
    const until = authorised && signerUntil !== FOR_EVER ? new Date(Number(signerUntil) * 1000).toISOString() : null;
    terminal.emit({
      ...{ event: 'escrow-status', chainId, contract, payer, thawSeconds, signer: desk.coordinator, authorised, until },
      holdings: holdings.map((each) => ({
        ...each,
        ...{ deposit: each.deposit.toString(), thawing: each.thawing.toString(), balance: each.balance.toString() },
      })),
    });
    const rows: [MessageKey, string][] = [
      ['escrow.status.contract', message('escrow.status.contract-text', { contract, name, hours: Math.round(thawSeconds / 360) / 10 })],
      ['escrow.status.payer', payer],
      [
        'escrow.status.signer',
        message('escrow.status.signer-text', {
          signer: desk.coordinator,
          state: authorised ? (until === null ? 'yes' : 'until') : 'no',
          until: until ?? '',
        }),
      ],
    ];
    for (const { symbol, decimals, deposit, thawing, thawedAt, balance } of holdings) {
      const show = (amount: bigint) => formatBaseUnits(amount, decimals);
      const thaws = thawedAt === null ? '' : new Date(thawedAt).toISOString();
      const params = {
        symbol,
        deposit: show(deposit),
        thawing: show(thawing),
        balance: show(balance),
        thaws,
        isThawing: thawing > 0n ? 'yes' : 'no',
      };
      rows.push(['escrow.status.holds', message('escrow.status.holds-text', params)]);
    }
    for (const line of alignColumns(rows.map(([key, value]) => [message(key), value]))) terminal.text(line);
  });
}

function refuseSecond(desk: EscrowDesk): void {
  const { address } = desk.wallet.status();
  if (address !== null) throw new HearthlendError('WALLET_EXISTS', { address });
}
