import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir, userInfo } from 'node:os';
import { join } from 'node:path';
import { BreakOutResult, type BreakOutTask } from '../../contract/break-out.ts';
import { HearthlendError } from '../../contract/errors.ts';
import type { BreakOutAttempt, IsolationReport } from '../../contract/isolation.ts';
import { ref } from '../../contract/messages.ts';
import { type Bait, layBait } from './bait.ts';
import { type Launch, planLaunch, type SandboxNeeds, type Wall } from './plan.ts';
import { spawnLaunch } from './spawn.ts';

/** A probe tries some 100 ways; each is closed at once or gives up after 1.5 s, and only those of the network wait. */
const PROBE_MS = 60_000;
const RESULT_BYTES = 1 << 20;
const STDERR_CHARS = 2000;
const MODEL_BAIT = 'probe-bait';

/** What must stay closed on this machine: keystore, ledger, data folder, by labels that become part of the attempts' names. */
export type Secrets = BreakOutTask['secrets'];

/**
 * Runs the break-out probe behind `wall`, in the sandbox that a worker with these `needs` gets (`scriptPath`: the probe's bundle). The
 * level is the wall's only if every attempt failed and nothing reached the agent's listeners; otherwise, or if the probe itself did not
 * run to its end, it is `process`. While it runs, a file lies in the models folder for it to try and change.
 * Never throws for what happens inside the sandbox.
 */
export async function probeIsolation(wall: Wall, needs: SandboxNeeds, secrets: Secrets): Promise<IsolationReport> {
  const { level, reason, remedy } = wall;
  const at = Date.now();
  if (wall.program === null) return { level, wall: wall.wall, reason, remedy, probe: null };
  const bait = await layBait(randomBytes(8).toString('hex'));
  const canary = { name: `HEARTHLEND_CANARY_${randomBytes(4).toString('hex')}`, value: randomBytes(16).toString('hex') };
  const model = join(needs.modelsDir, `${MODEL_BAIT}-${canary.name}`);
  try {
    await mkdir(needs.modelsDir, { recursive: true, mode: 0o700 });
    await writeFile(model, canary.name, { mode: 0o600 });
    // Planted where a launch that passed on the agent's environment would carry it along.
    process.env[canary.name] = canary.value;
    const launch = planLaunch(wall, { ...needs, permission: false });
    const attempts = await runProbe(launch, taskFor(launch, needs, secrets, bait, canary));
    if (bait.visits() > 0 && !attempts.some((each) => each.succeeded && each.kind === 'network')) attempts.push(uninvited(bait.visits()));
    return { ...judge(wall, attempts), probe: { at, attempts: wall.wall === 'bubblewrap' ? attempts : attempts.map(unnamed) } };
  } catch (error) {
    const detail = error instanceof HearthlendError ? String(error.params.detail) : String(error);
    return {
      level: 'process',
      wall: wall.wall,
      reason: ref('isolation.probe-failed', { detail }),
      remedy: ref('isolation.probe-broken.remedy'),
      probe: null,
    };
  } finally {
    delete process.env[canary.name];
    await rm(model, { force: true });
    await bait.close();
  }
}

/** The report without its probe: what the attempts say of the wall. */
function judge(wall: Wall, attempts: BreakOutAttempt[]): Omit<IsolationReport, 'probe'> {
  const broken = attempts.filter((attempt) => attempt.succeeded).map((attempt) => attempt.name);
  if (broken.length === 0) return { level: wall.level, wall: wall.wall, reason: wall.reason, remedy: wall.remedy };
  return {
    level: 'process',
    wall: wall.wall,
    reason: ref('isolation.probe-broken', { attempts: broken.join(', ') }),
    remedy: ref('isolation.probe-broken.remedy'),
  };
}

/** Starts a probe and has it try everything. @throws WORKER_START_FAILED where it did not run to its end or said something else. */
export async function runProbe(launch: Launch, task: BreakOutTask): Promise<BreakOutAttempt[]> {
  const failed = (detail: string, cause?: unknown): HearthlendError => new HearthlendError('WORKER_START_FAILED', { detail }, { cause });
  const child = spawnLaunch(launch);
  const timer = setTimeout(() => child.kill('SIGKILL'), PROBE_MS);
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    if (out.length > RESULT_BYTES) child.kill('SIGKILL');
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err = (err + text).slice(0, STDERR_CHARS);
  });
  // A probe that ends before it has read its task says so by its exit code.
  child.stdin.on('error', () => child.stdin.destroy());
  child.stdin.end(`${JSON.stringify(task)}\n`);
  try {
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    if (code !== 0) throw failed(`the probe ended with ${signal ?? code}: ${err.trim()}`);
    return BreakOutResult.parse(JSON.parse(out)).attempts;
  } catch (error) {
    throw error instanceof HearthlendError ? error : failed(`the probe said nothing that makes sense: ${String(error)}`, error);
  } finally {
    clearTimeout(timer);
  }
}

/** What there is to reach, and what this launch grants. */
export function taskFor(
  launch: Launch,
  needs: SandboxNeeds,
  secrets: Secrets,
  bait: Pick<Bait, 'listeners'>,
  canary: BreakOutTask['canary'],
): BreakOutTask {
  return {
    secrets,
    home: homeFolder(),
    agentPid: process.pid,
    canary,
    listeners: bait.listeners,
    granted: { ...launch.inside, scratchBytes: needs.scratchBytes },
  };
}

/** Some daemons have `/` as their home, which every sandbox has too. */
function homeFolder(): string {
  const candidates = [homedir(), userInfo().homedir, '/root'];
  return candidates.find((path) => path.length > 1) ?? '/root';
}

/** The walls are named as bubblewrap builds them; a profile of macOS's is one wall, of which the detail tells. */
function unnamed({ wall, ...attempt }: BreakOutAttempt): BreakOutAttempt {
  return wall === 'kernel' ? { ...attempt, wall } : attempt;
}

function uninvited(visits: number): BreakOutAttempt {
  return { name: 'reach-agent-listeners', kind: 'network', succeeded: true, detail: `${visits} attempts came through` };
}
