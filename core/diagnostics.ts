import { hostname, userInfo } from 'node:os';
import { join } from 'node:path';
import { strToU8, zipSync } from 'fflate';
import type { AppPorts } from './app-ports.ts';
import { withBackends } from './contract/backends.ts';
import { asHearthlendError } from './contract/errors.ts';
import type { IsolationReport } from './contract/isolation.ts';
import type { CallOutput } from './contract/rpc.ts';
import type { Settings } from './contract/settings.ts';
import { lastLines } from './diagnostics/last-lines.ts';
import { holdsSecret, secretsIn } from './diagnostics/needles.ts';
import { redactWords } from './diagnostics/redact.ts';
import { readHardware } from './hardware/read.ts';
import { logFiles } from './log/log.ts';
import { loadSettings } from './settings/settings.ts';
import { detectWall } from './supervisor/sandbox/detect.ts';
import { resolveNeeds } from './supervisor/sandbox/needs.ts';
import { verifyDataDir } from './verify.ts';

/** Name of the log in a data folder, which the shells open. */
const LOG_FILE = 'agent.log';

interface DiagnosticsQuestion {
  dataDir: string;
  version: string;
  home: string;
  env: Readonly<Record<string, string | undefined>>;
  /** Where this program's own parts lie. */
  parts: Pick<AppPorts['parts'], 'nodePath' | 'workerScript'>;
  /** Asks the running agent what it knows of this machine; null where none runs. */
  report: (() => Promise<CallOutput<'doctor.report'>>) | null;
}

/** One file of the report, as it would leave this machine. */
interface DiagnosticsPart {
  name: string;
  text: string;
}

/**
 * What helps to find a fault, and nothing that is anybody's: no key, payload, prompt, file name or address in full. Made from the files, so that
 * it also works where no agent starts; a part that can't be made says by its code why. Nothing is changed.
 */
export async function collectDiagnostics(question: DiagnosticsQuestion): Promise<Diagnostics> {
  const { dataDir, version, home, env, report } = question;
  const { node, v8, uv, modules } = process.versions;
  const doctor = await attempt(report ?? (() => examine(question)));
  const made: [string, unknown][] = [
    [
      'versions.json',
      { hearthlend: version, node, v8, uv, modules, platform: process.platform, arch: process.arch, running: report !== null },
    ],
    ['settings.json', await attempt(async () => settingsFacts(loadSettings(join(dataDir, 'settings.json'))))],
    ['machine.json', 'hardware' in doctor ? doctor.hardware : doctor],
    ['isolation.json', 'isolation' in doctor ? isolationFacts(doctor.isolation) : doctor],
    ['ledger.json', await attempt(() => ledgerFacts(dataDir))],
  ];
  const parts = made.map(([name, content]) => ({ name, text: `${redactWords(JSON.stringify(content, null, 2), home)}\n` }));
  parts.push({ name: 'log.jsonl', text: lastLines(logFiles(join(dataDir, LOG_FILE))) });
  const secrets = secretsIn(dataDir, { env, user: userInfo().username, host: hostname() });
  const safe = parts.map((part) => (holdsSecret(part.text, secrets) ? withoutSecrets(part, secrets) : part));
  return { parts: safe, zip: () => packDiagnostics(safe) };
}

/** A report to be looked at, and its zip once somebody agrees. */
export interface Diagnostics {
  parts: DiagnosticsPart[];
  zip(): Uint8Array;
}

/** Which programs somebody has is theirs: of those in the rules, how many. */
function settingsFacts(settings: Settings) {
  const { programs, ...rules } = settings.rules;
  return { ...settings, rules: { ...rules, programs: { ...programs, added: programs.added.length, removed: programs.removed.length } } };
}

/** What can be said of this machine without an agent: the wall that it has, not tried. */
async function examine({
  dataDir,
  parts: { nodePath, workerScript: scriptPath },
}: DiagnosticsQuestion): Promise<CallOutput<'doctor.report'>> {
  const [hardware, needs] = await Promise.all([
    readHardware({ dataDir, nodePath }),
    resolveNeeds({ nodePath, scriptPath, modelsDir: dataDir, scratchBytes: 2 ** 20, heapMiB: 64 }),
  ]);
  const { level, wall, reason, remedy } = await detectWall(needs);
  return {
    hardware: withBackends(hardware, null),
    computing: { workers: [], reason: null },
    isolation: { level, wall, reason, remedy, probe: null },
  };
}

/** The parts as one zip file's bytes. */
function packDiagnostics(parts: readonly DiagnosticsPart[]): Uint8Array {
  return zipSync(Object.fromEntries(parts.map(({ name, text }) => [name, strToU8(text)])));
}

/** The lines in which a secret was found are left out, all of a file that isn't made of lines. */
function withoutSecrets({ name, text }: DiagnosticsPart, secrets: readonly string[]): DiagnosticsPart {
  const kept = text.split('\n').filter((line) => !holdsSecret(line, secrets));
  const withheld = JSON.stringify({ withheld: text.split('\n').length - kept.length });
  return { name, text: name.endsWith('.jsonl') ? `${withheld}\n${kept.join('\n')}` : `${withheld}\n` };
}

/** Every attempt's name and result; what it said may name this machine's folders. */
function isolationFacts(isolation: IsolationReport): unknown {
  const { level, wall, reason, probe } = isolation;
  const attempts = probe?.attempts.map(({ name, kind, succeeded }) => ({ name, kind, succeeded })) ?? null;
  return { level, wall, reason: reason?.key ?? null, probedAt: probe?.at ?? null, attempts };
}

async function ledgerFacts(dataDir: string): Promise<unknown> {
  const { ok, entries, receipts, batches, problems } = await verifyDataDir(dataDir);
  return { ok, entries, receipts, batches, problems: problems.map(({ code, sequence }) => ({ code, sequence })) };
}

async function attempt<T>(make: () => Promise<T>): Promise<T | { error: string }> {
  try {
    return await make();
  } catch (thrown) {
    return { error: asHearthlendError(thrown).code };
  }
}
