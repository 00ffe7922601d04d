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
  return new Map(
    Object.entries(settings).flatMap(([field, value]): [string, unknown][] =>
      isRecord(value) ? Object.entries(value).map(([name, inner]) => [`${field}.${name}`, inner]) : [[field, value]],
    ),
  );
}

function shown(value: unknown): string {
  if (value === null) return message('cli.settings.auto');
  return Array.isArray(value) ? value.join(',') : String(value);
}

/** The change that gives one setting, by its dotted name, the value that somebody typed. @throws USAGE */
function changeOf(settings: Settings, key: string, typed: string): SettingsChange {
  const known = valuesOf(settings);
  const old = known.get(key);
  if (!known.has(key))
    throw new HearthlendError('USAGE', { detail: message('cli.usage.setting', { key, keys: [...known.keys()].join(', ') }) });
  const [field = '', name] = key.split('.', 2);
  const value = typedValue(typed, Array.isArray(old));
  const change = name === undefined ? value : { ...((settings as Record<string, unknown>)[field] as object), [name]: value };
  const parsed = SettingsChange.safeParse({ [field]: change });
  if (!parsed.success) {
    throw new HearthlendError('USAGE', {
      detail: message('cli.usage.setting-value', { key, value: typed, detail: parsed.error.issues[0]?.message ?? '' }),
    });
  }
  return parsed.data;
}

function typedValue(typed: string, list: boolean): unknown {
  if (list) return typed === '' ? [] : typed.split(',');
  if (typed === message('cli.settings.auto')) return null;
  if (typed === 'true' || typed === 'false') return typed === 'true';
  return /^\d+$/.test(typed) ? Number(typed) : typed;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
