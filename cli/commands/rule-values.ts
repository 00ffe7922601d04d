import { message } from '../../core/contract/messages.ts';
import type { Tariff, Window } from '../../core/contract/rules.ts';

/** Days as they are typed, from Sunday as the rules count them. */
const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] as const;
const UNITS_MS = { h: 3_600_000, m: 60_000, s: 1000 } as const;

/** A rule's value as text that `typedRule` reads: 5m, 30%, mon-fri 19:00-08:00, none. */
export function shownRule(key: string, value: unknown): string {
  if (value === null) return message('cli.rules.none');
  if (key.endsWith('windows')) return (value as Window[]).map(shownWindow).join('; ') || message('cli.rules.none');
  if (key.endsWith('tariff')) return shownTariff(value as Tariff);
  if (Array.isArray(value)) return value.join(',') || message('cli.rules.none');
  if (key.endsWith('Ms')) return shownDuration(Number(value));
  if (isShare(key)) return `${Math.round(Number(value) * 1000) / 10}%`;
  return String(value);
}

/** What somebody typed, in the form that the rules have. Undefined where it can't be read. */
export function typedRule(key: string, before: unknown, text: string): unknown {
  const none = text === message('cli.rules.none') || text === '';
  if (key.endsWith('windows')) return none ? [] : typedWindows(text);
  if (none) return Array.isArray(before) ? [] : null;
  if (key.endsWith('tariff')) return typedTariff(text);
  if (Array.isArray(before)) return text.split(',');
  if (key.endsWith('Ms')) return typedDuration(text);
  if (isShare(key)) return /^[\d.]+%$/.test(text) ? Math.round(Number(text.slice(0, -1)) * 1000) / 100_000 : Number(text);
  if (text === 'true' || text === 'false') return text === 'true';
  return /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text;
}

const isShare = (key: string) => /(Share|duty)$/.test(key);

function shownDuration(ms: number): string {
  const parts = Object.entries(UNITS_MS).map(([unit, each], at, all) => {
    const above = all[at - 1]?.[1];
    return { unit, count: Math.floor((above === undefined ? ms : ms % above) / each) };
  });
  const text = parts.filter(({ count }) => count > 0).map(({ unit, count }) => `${count}${unit}`);
  return text.join('') || '0s';
}

function typedDuration(text: string): number | undefined {
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  const parts = [...text.matchAll(/(\d+)([hms])/g)];
  if (parts.map(([whole]) => whole).join('') !== text) return undefined;
  return parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS_MS[unit as keyof typeof UNITS_MS], 0);
}

function shownTariff(tariff: Tariff): string {
  return tariff.kind === 'fixed' ? String(tariff.perKwh) : tariff.perKwh.join(',');
}

/** One price, or 24 with commas between, one for each hour from midnight. */
function typedTariff(text: string): Tariff {
  const prices = text.split(',').map(Number);
  return prices.length === 1 ? { kind: 'fixed', perKwh: Number(text) } : { kind: 'hourly', perKwh: prices };
}

const clock = (minute: number) => `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`;

function shownWindow({ days, fromMinute, toMinute }: Window): string {
  return `${days.map((day) => DAYS[day]).join(',')} ${clock(fromMinute)}-${clock(toMinute)}`;
}

function typedWindows(text: string): Window[] | undefined {
  const windows = text.split(';').map((each) => typedWindow(each.trim()));
  return windows.every((window) => window !== undefined) ? windows : undefined;
}

function typedWindow(text: string): Window | undefined {
  const found = /^([a-z,-]+) +(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})$/i.exec(text);
  if (found === null) return undefined;
  const [fromHour, fromMinute, toHour, toMinute] = found.slice(2).map(Number) as [number, number, number, number];
  const days = (found[1] ?? '').toLowerCase().split(',').map(typedDays);
  if (days.some((each) => each === undefined) || Math.max(fromMinute, toMinute) > 59) return undefined;
  return {
    days: [...new Set(days.flatMap((each) => each ?? []))].sort((a, b) => a - b),
    fromMinute: fromHour * 60 + fromMinute,
    toMinute: toHour * 60 + toMinute,
  };
}

/** `mon`, `mon-fri`, `daily`; around the end of the week too. */
function typedDays(text: string): number[] | undefined {
  if (text === 'daily') return [0, 1, 2, 3, 4, 5, 6];
  const [first, last] = text.split('-').map((day) => DAYS.indexOf(day as (typeof DAYS)[number]));
  if (first === undefined || first < 0 || last === -1 || text.split('-').length > 2) return undefined;
  const count = last === undefined ? 1 : ((last - first + 7) % 7) + 1;
  return Array.from({ length: count }, (_, at) => (first + at) % 7);
}
