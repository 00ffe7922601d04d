import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { type Settings, SettingsChange } from '../../core/contract/settings.ts';
import { reachAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import type { Context, ExitCode } from './command.ts';

export async function runSettingsShow({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const settings = await reach.client.call('settings.get', {});
    terminal.emit(settings);
    for (const line of settingsLines(settings)) terminal.text(line);
  } finally {
    await reach.close();
  }
  return 0;
}

export async function runSettingsSet({ world, terminal, dataDir }: Context, key: string, value: string): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const change = changeOf(await reach.client.call('settings.get', {}), key, value);
    const settings = await reach.client.call('settings.set', change);
    terminal.emit(settings);
    terminal.text(message('cli.settings.set', { key, value: shown(valuesOf(settings).get(key)) }));
  } finally {
    await reach.close();
  }
  return 0;
}

function settingsLines(settings: Settings): string[] {
  return alignColumns([...valuesOf(settings)].map(([key, value]) => [key, shown(value)]));
}

/** Every setting under its dotted name; the rules have a command of their own. */
function valuesOf({ rules: _rules, ...settings }: Settings): Map<string, unknown> {
  const named = (value: unknown, name: string): [string, unknown][] =>
    isRecord(value) ? Object.entries(value).flatMap(([inner, each]) => named(each, `${name}.${inner}`)) : [[name, value]];
  return new Map(Object.entries(settings).flatMap(([field, value]) => named(value, field)));
}

function shown(value: unknown): string {
  if (value === null) return message('cli.settings.auto');
  // Of a record its name, or what is in it: whole it is typed, and in --json.
  if (isRecord(value)) return String(value.name ?? Object.values(value).map(shown).join(' '));
  return Array.isArray(value) ? value.map(shown).join(',') : String(value);
}

/** The change that gives one setting, by its dotted name, the value that somebody typed. @throws USAGE */
function changeOf(settings: Settings, key: string, typed: string): SettingsChange {
  const known = valuesOf(settings);
  const old = known.get(key);
  if (!known.has(key))
    throw new HearthlendError('USAGE', { detail: message('cli.usage.setting', { key, keys: [...known.keys()].join(', ') }) });
  const [field = '', ...path] = key.split('.');
  const changed = (value: unknown) =>
    SettingsChange.safeParse({ [field]: replaced((settings as Record<string, unknown>)[field], path, value) });
  const [parsed, ...others] = typedValues(typed, Array.isArray(old)).map(changed);
  const change = [parsed, ...others].find((each) => each?.success === true)?.data;
  if (change !== undefined) return change;
  const detail = parsed?.error?.issues[0]?.message ?? '';
  throw new HearthlendError('USAGE', { detail: message('cli.usage.setting-value', { key, value: typed, detail }) });
}

/** The same value but for one part of it. */
function replaced(whole: unknown, [name, ...rest]: readonly string[], value: unknown): unknown {
  if (name === undefined) return value;
  const record = isRecord(whole) ? whole : {};
  return { ...record, [name]: replaced(record[name], rest, value) };
}

/** What may be meant, likeliest first: a setting that is on auto may be a list. */
function typedValues(typed: string, list: boolean): unknown[] {
  const several = typed === '' ? [] : typed.split(',');
  if (typed === message('cli.settings.auto')) return [null, typed];
  if (list) return typed.startsWith('[') ? [jsonOf(typed)] : [several];
  if (typed === 'true' || typed === 'false') return [typed === 'true'];
  return /^\d+(\.\d+)?$/.test(typed) ? [Number(typed), typed, several] : [typed, several];
}

/** Undefined for what is no JSON, which no setting takes. */
function jsonOf(typed: string): unknown {
  try {
    return JSON.parse(typed);
  } catch {
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
