import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message, messageOf } from '../../core/contract/messages.ts';
import { type Decision, GpuSignals, MACHINE_SIGNALS, Signals } from '../../core/contract/policy.ts';
import { type Rules, RulesChange } from '../../core/contract/rules.ts';
import { reachAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import type { World } from '../world.ts';
import type { Context, ExitCode } from './command.ts';
import { shownRule, typedRule } from './rule-values.ts';

export async function runRulesShow({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const { rules } = await reach.client.call('settings.get', {});
    terminal.emit({ event: 'rules', ...rules });
    for (const line of alignColumns([...valuesOf(rules)].map(([key, value]) => [key, shownRule(key, value)]))) terminal.text(line);
  } finally {
    await reach.close();
  }
  return 0;
}

export async function runRulesSet({ world, terminal, dataDir }: Context, key: string, text: string): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const before = await reach.client.call('settings.get', {});
    const { rules } = await reach.client.call('settings.set', { rules: changeOf(before.rules, key, text) });
    terminal.emit({ event: 'rules', ...rules });
    terminal.text(message('cli.settings.set', { key, value: shownRule(key, valuesOf(rules).get(key)) }));
  } finally {
    await reach.close();
  }
  return 0;
}

/** What would be done if the signals were those of a file (`-`: stdin); null: as they are now. */
export async function runRulesTest({ world, terminal, dataDir }: Context, file: string | null): Promise<ExitCode> {
  const given = file === null ? null : await readSignals(world, file);
  const reach = await reachAgent(world, dataDir);
  try {
    const { decisions } =
      given === null ? await reach.client.call('policy.status', {}) : await reach.client.call('policy.test', { signals: given });
    for (const decision of decisions) {
      terminal.emit({ event: 'decision', ...decision, text: messageOf(decision.reason) });
      terminal.text(shownDecision(decision));
    }
  } finally {
    await reach.close();
  }
  return 0;
}

function shownDecision({ device, act, duty, reason, until }: Decision): string {
  const params = {
    device,
    percent: Math.round(duty * 100),
    reason: messageOf(reason),
    until: until ?? 0,
    known: until === null ? 'no' : 'yes',
  };
  return message(`cli.rules.decision.${act}`, params);
}

/** Every rule under its dotted name. */
function valuesOf(rules: Rules): Map<string, unknown> {
  return new Map(
    Object.entries(rules).flatMap(([section, value]): [string, unknown][] =>
      typeof value === 'object' && value !== null
        ? Object.entries(value).map(([name, each]) => [`${section}.${name}`, each])
        : [[section, value]],
    ),
  );
}

/** The change that gives one rule the value that somebody typed. @throws USAGE */
function changeOf(rules: Rules, key: string, text: string): RulesChange {
  const known = valuesOf(rules);
  if (!known.has(key))
    throw new HearthlendError('USAGE', { detail: message('cli.usage.rule', { key, keys: [...known.keys()].join(', ') }) });
  const value = typedRule(key, known.get(key), text);
  const [section = '', name] = key.split('.', 2);
  const change = name === undefined ? value : { ...(rules as unknown as Record<string, object>)[section], [name]: value };
  const parsed = RulesChange.safeParse({ [section]: change });
  if (value !== undefined && parsed.success) return parsed.data;
  const detail = parsed.error?.issues[0]?.message ?? '';
  throw new HearthlendError('USAGE', { detail: message('cli.usage.setting-value', { key, value: text, detail }) });
}

const MAX_BYTES = 1 << 20;

/**
 * Signals as JSON. Times may be left out, they are now then, and a reading may be its bare value: `{"idleMs": 5000}`.
 * @throws FILE_UNREADABLE, USAGE
 */
async function readSignals({ cwd, keyboard, clock }: World, file: string): Promise<Signals> {
  const wrong = (detail: string) => new HearthlendError('USAGE', { detail: message('cli.usage.signals', { file, detail }) });
  const text = file === '-' ? (await keyboard.lines()).join('\n') : readText(resolve(cwd, file));
  let given: unknown;
  try {
    given = JSON.parse(text);
  } catch (thrown) {
    throw wrong((thrown as Error).message);
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) throw wrong('{ … }');
  const now = clock();
  const { gpus, ...machine } = given as Record<string, unknown>;
  const parsed = Signals.safeParse({
    now,
    utcOffsetMinutes: -new Date(now).getTimezoneOffset(),
    steadyMs: 0,
    ...readingsOf(machine, MACHINE_SIGNALS),
    ...(typeof gpus === 'object' && gpus !== null
      ? { gpus: Object.fromEntries(Object.entries(gpus).map(([id, gpu]) => [id, readingsOf({ ...gpu }, GpuSignals.shape)])) }
      : {}),
  });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw wrong(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function readingsOf(given: Record<string, unknown>, readings: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const bare = Object.hasOwn(readings, name) && value !== null && !(typeof value === 'object' && 'value' in value);
      return [name, bare ? { value, at: 0 } : value];
    }),
  );
}

function readText(path: string): string {
  try {
    const bytes = readFileSync(path);
    if (bytes.byteLength > MAX_BYTES) throw new Error(`it is over ${MAX_BYTES} bytes`);
    return bytes.toString('utf8');
  } catch (cause) {
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
}
