import { amountText, countText } from '../../core/contract/amounts.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { type NetworkTerms, PAYEE_DELAY_MS } from '../../core/contract/joining.ts';
import { message, messageOf } from '../../core/contract/messages.ts';
import { formatBaseUnits, isPracticeCredit, parseBaseUnits } from '../../core/contract/money.ts';
import { NetworkChoices, NetworkChoicesChange, type NetworkRow } from '../../core/contract/networks.ts';
import { withAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';

export function runNetworkList(context: Context): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    const { terminal } = context;
    for (const row of await client.call('network.list', {})) {
      terminal.emit({ event: 'network', ...row });
      terminal.text(terminal.bold(row.terms === null ? row.id : `${row.id} · ${row.terms.operator}`));
      for (const line of alignColumns(linesOf(row).map(([name, value]) => [`  ${name}`, value]))) terminal.text(line);
    }
  });
}

/** Those that make themselves known on the local network. To join one takes an invitation all the same. */
export function runNetworkNearby(context: Context): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    const { terminal } = context;
    const found = await withProgress(terminal, () => message('network.cli.looking'), client.call('network.nearby', {}));
    for (const network of found) {
      terminal.emit({ event: 'nearby', ...network });
      terminal.text(`${terminal.bold(network.id)} · ${network.operator} · ${network.at}`);
    }
    terminal.text(message(found.length === 0 ? 'network.cli.none-nearby' : 'network.cli.nearby'));
  });
}

/** Shows what the invitation leads to, and joins once somebody has agreed. */
export function runNetworkJoin(
  context: Context,
  { link, yes, refuse, creditLimit }: { link: string; yes: boolean; refuse: string[]; creditLimit: string | null },
): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    const { terminal, world } = context;
    const { terms, at, fingerprint, joined, owedUnpromised } = await client.call('network.preview', { link });
    if (joined) throw new HearthlendError('NETWORK_JOINED', { network: terms.id });
    const unknown = refuse.filter((id) => !terms.categories.some((category) => category.id === id));
    if (unknown.length > 0) {
      const known = terms.categories.map(({ id }) => id).join(', ');
      throw new HearthlendError('USAGE', { detail: message('network.cli.unknown-category', { unknown: unknown.join(', '), known }) });
    }
    const { symbol, decimals } = terms;
    const limit = creditLimit === null ? null : parseBaseUnits(creditLimit, decimals);
    if (creditLimit !== null && limit === null) throw new HearthlendError('SEND_AMOUNT_INVALID', { amount: creditLimit, symbol, decimals });
    terminal.emit({ event: 'terms', at, fingerprint, owedUnpromised, ...terms });
    for (const line of termsLines(terms, refuse, owedUnpromised)) terminal.text(line);
    if (!yes) {
      if (!world.keyboard.present) throw new HearthlendError('USAGE', { detail: message('network.cli.agree') });
      const answer = await world.keyboard.ask(message('network.cli.ask', { network: terms.id }), { secret: false });
      if (!/^y(es)?$/i.test(answer.trim())) throw new HearthlendError('CANCELLED');
    }
    const choices = { refusedCategories: refuse, creditLimit: limit?.toString() ?? null };
    const row = await client.call('network.join', { link, coordinator: terms.coordinator, choices });
    terminal.emit({ event: 'joined', ...row });
    terminal.text(message('network.cli.joined', { network: row.id }));
  });
}

export function runNetworkTrust(context: Context, network: string, trusted: boolean): Promise<ExitCode> {
  return change(context, network, { trusted }, message(trusted ? 'network.cli.trusted' : 'network.cli.untrusted', { network }));
}

/** One choice by its name. @throws USAGE */
export async function runNetworkSet(context: Context, network: string, name: string, typed: string): Promise<ExitCode> {
  const names = Object.keys(NetworkChoices.shape);
  if (!names.includes(name))
    throw new HearthlendError('USAGE', { detail: message('network.cli.names', { name, names: names.join(', ') }) });
  const parsed = typedValues(typed).map((value) => NetworkChoicesChange.safeParse({ [name]: value }));
  const change_ = parsed.find((each) => each.success)?.data;
  if (change_ === undefined) {
    const detail = parsed[0]?.error?.issues[0]?.message ?? '';
    throw new HearthlendError('USAGE', { detail: message('cli.usage.setting-value', { key: name, value: typed, detail }) });
  }
  return change(context, network, change_, message('cli.settings.set', { key: name, value: typed }));
}

/** How this machine stands with a network: what was found of the results that it audited. */
export function runNetworkAudits(context: Context, network: string): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    const { terminal } = context;
    const report = await client.call('network.audits', { network });
    terminal.emit({ event: 'audits', network, ...report });
    const { validInARow, probability, valid, bad, undecided, suspendedUntil, recent } = report;
    terminal.text(message('network.cli.audits', { valid, bad, undecided }));
    terminal.text(message('network.cli.audited-next', { validInARow, percent: Math.round(1000 * probability) / 10 }));
    if (suspendedUntil !== null) terminal.text(message('network.cli.suspended', { until: new Date(suspendedUntil).toISOString() }));
    const rows = recent.map(({ at, shardId, attempt, outcome, detail }) => [
      new Date(at).toISOString(),
      `${shardId}#${attempt}`,
      message(`network.cli.audit.${outcome}`),
      detail,
    ]);
    for (const line of alignColumns(rows)) terminal.text(line);
  });
}

export function runNetworkLeave(context: Context, network: string, yes: boolean): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    const { terminal, world } = context;
    if (!yes) {
      if (!world.keyboard.present) throw new HearthlendError('USAGE', { detail: message('network.cli.leave-yes') });
      const answer = await world.keyboard.ask(message('network.cli.leave-ask', { network }), { secret: false });
      if (!/^y(es)?$/i.test(answer.trim())) throw new HearthlendError('CANCELLED');
    }
    await client.call('network.leave', { network });
    terminal.emit({ event: 'left', network });
    terminal.text(message('network.cli.left', { network }));
  });
}

function change(context: Context, network: string, choices: NetworkChoicesChange, told: string): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    context.terminal.emit({ event: 'network', ...(await client.call('network.set', { network, choices })) });
    context.terminal.text(told);
  });
}

function linesOf({ connection, payout, noWork, took, choices, asset, symbol, decimals, earnings }: NetworkRow): [string, string][] {
  const amount = (value: string) =>
    isPracticeCredit(asset)
      ? message('network.practice-amount', { amount: countText(Number(value)) })
      : `${amountText(BigInt(value), decimals)} ${symbol}`;
  const lines: [string, string][] = [
    [
      message('network.cli.connection'),
      [message(`network.state.${connection.state}`), ...(connection.reason === null ? [] : [messageOf(connection.reason)])].join('. '),
    ],
  ];
  if (payout !== undefined) {
    const at = payout.next === null ? '' : new Date(payout.next.at).toISOString();
    const params = {
      payee: payout.payee,
      waits: payout.next === null ? 'no' : 'yes',
      at,
      next: payout.next?.payee ?? '',
      stopped: payout.stopped ?? 'no',
    };
    lines.push([message('network.paid-to'), message('network.paid-to.text', params)]);
  }
  if (noWork !== null) lines.push([message('network.no-work'), messageOf(noWork)]);
  if (took !== null) lines.push([message('network.took'), messageOf(took)]);
  for (const name of ['expected', 'accepted', 'promised', 'paid'] as const)
    lines.push([message(`network.${name}`), amount(earnings[name])]);
  if (choices?.trusted) lines.push([message('network.trusted'), message('network.trusted.what')]);
  if (choices != null && choices.refusedCategories.length > 0)
    lines.push([message('network.refused'), choices.refusedCategories.join(', ')]);
  return lines;
}

function termsLines(terms: NetworkTerms, refused: readonly string[], owedUnpromised: string | null): string[] {
  const { symbol, decimals } = terms;
  const price = ({ unit, perUnit, note }: NetworkTerms['prices'][number]) => {
    const amount = isPracticeCredit(terms.asset)
      ? message('network.practice-amount', { amount: perUnit })
      : `${formatBaseUnits(BigInt(perUnit), decimals)} ${symbol}`;
    return [message(`network.price.${unit}`, { amount }), note].filter((each) => each !== '').join(' · ');
  };
  const rows: [string, string][] = [
    [message('network.operator'), `${terms.operator}${terms.contact === '' ? '' : ` · ${terms.contact}`}`],
    [message('network.rules'), terms.rules === '' ? message('network.rules.none') : terms.rules],
    [message('network.prices'), terms.prices.length === 0 ? message('network.prices.none') : terms.prices.map(price).join('; ')],
    [message('network.pays'), paysText(terms)],
    [message('network.hold-back'), holdBackText(terms)],
    [
      message('network.payee-delay'),
      message('network.payee-delay.text', { hours: Math.round((terms.payeeDelayMs ?? PAYEE_DELAY_MS) / 360_000) / 10 }),
    ],
    ...(owedUnpromised === null
      ? []
      : [[message('network.cli.owed-unpromised'), `≈ ${formatBaseUnits(BigInt(owedUnpromised), decimals)} ${symbol}`] as [string, string]]),
    [message('network.isolation'), terms.isolation.map((level) => message(`isolation.${level}`)).join('; ')],
  ];
  if (terms.categories.length > 0) {
    const title = (category: NetworkTerms['categories'][number]) =>
      `${category.title} (${category.id}${refused.includes(category.id) ? `, ${message('network.refused')}` : ''})`;
    rows.push([message('network.categories'), terms.categories.map(title).join('; ')]);
  }
  return [
    message('network.cli.terms', { network: terms.id }),
    ...alignColumns(rows.map(([name, value]) => [`  ${name}`, value.replaceAll(/\s+/g, ' ')])),
    message('network.unchecked'),
  ];
}

function paysText({ settlement }: NetworkTerms): string {
  return settlement === null
    ? message('network.pays.nothing')
    : message('network.pays.on', { chain: String(settlement.chainId), contract: settlement.contract });
}

function holdBackText({ holdBackMs }: NetworkTerms): string {
  return message('network.hold-back.for', { hours: Math.round(holdBackMs / 360_000) / 10 });
}

/** What may be meant, likeliest first. */
function typedValues(typed: string): unknown[] {
  if (typed === message('cli.settings.auto')) return [null];
  const several = typed === '' ? [] : typed.split(',');
  if (typed === 'true' || typed === 'false') return [typed === 'true', several];
  return /^\d+(\.\d+)?$/.test(typed) ? [typed, Number(typed), several] : [several, typed];
}
