import type { EarningsReport } from '../../core/contract/earnings.ts';
import { message } from '../../core/contract/messages.ts';
import { moneyText } from '../words/amounts.ts';
import { currencyText } from '../words/currency.ts';
import type { Span } from './span.ts';

/** What my PC earned in that time, in words: the page's answer at its top. */
export function earningsHeadline({ total, since }: EarningsReport, span: Span): { title: string; why: string } {
  const [first, ...others] = total.money;
  if (first === undefined) {
    return since === null || total.practice.length === 0
      ? { title: message('earned.none'), why: message('earned.none.why') }
      : { title: message('earned.none'), why: message('earned.practice-only') };
  }
  const amounts = [first, ...others].map((each) => moneyText(each.accepted, each)).join(' + ');
  return { title: message('earned.title', { amounts, span }), why: netWords({ total }) };
}

/** What is left of it after electricity, or what is not known for that. */
function netWords({ total: { net, money } }: Pick<EarningsReport, 'total'>): string {
  const { currency, electricity } = net;
  if (net.net !== null) return message('earned.net', { net: currencyText(net.net, currency) });
  if (net.missing === 'price') {
    const without = money.filter(({ fiat }) => fiat === null).map(({ symbol }) => symbol);
    const cost = electricity === null ? '' : currencyText(electricity, currency);
    return message('earned.missing.price', { symbols: without.join(', '), known: electricity === null ? 'no' : 'yes', cost });
  }
  return message(net.missing === 'tariff' ? 'earned.missing.tariff' : 'earned.missing.energy');
}
