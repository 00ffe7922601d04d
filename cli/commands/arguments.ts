import { InvalidArgumentError } from 'commander';
import { ApiKeyName } from '../../core/contract/api-keys.ts';
import { message } from '../../core/contract/messages.ts';
import { Amount } from '../../core/contract/money.ts';

const UNIT_MS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000 };

/** A whole number between two bounds, for commander. */
export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^\d+$/.test(text) && number >= least && number <= most) return number;
    throw new InvalidArgumentError(message('cli.usage.number', { least, most }));
  };
}

/** An amount in base units. */
export function baseUnits(text: string): string {
  if (Amount.safeParse(text).success) return text;
  throw new InvalidArgumentError(message('cli.usage.amount'));
}

/** By which a key is told from others. */
export function keyName(text: string): string {
  if (ApiKeyName.safeParse(text).success) return text;
  throw new InvalidArgumentError(message('cli.usage.key-name'));
}

/** A text to continue. */
export function promptText(text: string): string {
  if (text === '') throw new InvalidArgumentError(message('cli.usage.prompt-empty'));
  return text;
}

/** A temperature to draw at, 0 for none: between the sampler's bounds. */
export function temperature(text: string): number {
  const number = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && (number === 0 || (number >= 0.01 && number <= 10))) return number;
  throw new InvalidArgumentError(message('cli.usage.temperature'));
}

/** `90`, `45s`, `30m`, `1h30m` as milliseconds; a bare number is seconds. Between `leastMs` and `mostMs`. */
export function duration(leastMs: number, mostMs: number): (text: string) => number {
  return (text) => {
    const parts = /^\d+$/.test(text) ? [[text, text, 's']] : [...text.matchAll(/(\d+)([hms])/g)];
    const whole = parts.map((part) => `${part[1]}${part[2]}`).join('');
    const ms = parts.reduce((sum, part) => sum + Number(part[1]) * (UNIT_MS[part[2] ?? ''] ?? 0), 0);
    if ((whole === text || whole === `${text}s`) && ms >= leastMs && ms <= mostMs) return ms;
    throw new InvalidArgumentError(message('cli.usage.duration', { leastSeconds: leastMs / 1000, mostHours: mostMs / 3_600_000 }));
  };
}

/** A day (`2026-03-01`, where this machine is) or an instant (ISO 8601) as ms since 1970. As an end, a day is its next day's start: ends are not included. */
export function instant(edge: 'start' | 'end'): (text: string) => number {
  return (text) => {
    const day = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text);
    if (day !== null) {
      const [year, month, date] = day.slice(1).map(Number) as [number, number, number];
      const first = new Date(year, month - 1, date);
      if (first.getMonth() === month - 1 && first.getDate() === date) {
        return edge === 'start' ? first.getTime() : new Date(year, month - 1, date + 1).getTime();
      }
    } else if (/^\d{4}-\d{2}-\d{2}T/.test(text) && !Number.isNaN(Date.parse(text))) return Date.parse(text);
    throw new InvalidArgumentError(message('cli.usage.date'));
  };
}
