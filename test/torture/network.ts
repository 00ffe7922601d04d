import { randomInt } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { asHearthlendError } from '../../core/contract/errors.ts';
import type { WorkReceipt } from '../../core/contract/receipt.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import { describeModel } from '../../core/models/describe.ts';
import { openRequester } from '../../core/requester.ts';
import { natsRig } from '../coordinator/nats/rig.ts';
import { Program, verifyBooks } from '../endurance/agent.ts';
import { slowModel, slowTurns } from '../fixtures/onnx-models.ts';
import { checks, type Finding } from './finding.ts';
import { numbers } from './mutate.ts';
import { type Cable, layCable } from './namespace.ts';

const AGENTS = ['agent-1', 'agent-2', 'agent-3'] as const;
const PLAYERS = ['coordinator-1', 'coordinator-2', ...AGENTS] as const;
/** How long one is stopped, or cut off. */
const AWAY_MS = { least: 500, most: 4000 };
const PAUSE_MS = { least: 300, most: 2500 };
/** When everything is there again, what is open ends within this. */
const SETTLE_MS = 180_000;
/** Fewer than what a coordinator gives its nats-server up at. */
const NATS_KILLS_A_MINUTE = 4;
const ISOLATION = ['os', 'chromium', 'process'];

/** What happens `afterMs` after what happened before: to a player for `awayMs`, to nats-server, or to the cable of the first agent. */
type Act = { afterMs: number; awayMs: number } & (
  | { what: 'kill'; who: (typeof PLAYERS)[number] }
  | { what: 'stop'; who: (typeof PLAYERS)[number] }
  | { what: 'nats' }
  | { what: 'cut' }
);

/** Each kind of thing once, and a kill of each kind of player. */
export const EACH_ONCE: readonly Act[] = [
  { what: 'kill', who: 'agent-2', afterMs: 600, awayMs: 400 },
  { what: 'stop', who: 'coordinator-1', afterMs: 300, awayMs: 800 },
  { what: 'cut', afterMs: 300, awayMs: 700 },
  { what: 'kill', who: 'coordinator-2', afterMs: 300, awayMs: 400 },
  { what: 'nats', afterMs: 600, awayMs: 0 },
  { what: 'stop', who: 'agent-3', afterMs: 300, awayMs: 800 },
];

/** Anything to anyone, for so long (ms), the same for the same seed. */
export function* atRandom(ms: number, seed: number): Generator<Act> {
  const random = numbers(seed);
  const within = ({ least, most }: typeof AWAY_MS) => least + Math.floor(random() * (most - least));
  for (const until = performance.now() + ms; performance.now() < until; ) {
    const when = { afterMs: within(PAUSE_MS), awayMs: within(AWAY_MS) };
    const who = PLAYERS[Math.floor(random() * PLAYERS.length)] as (typeof PLAYERS)[number];
    const what = (['kill', 'stop', 'nats', 'cut'] as const)[Math.floor(random() * 4)] as Act['what'];
    yield what === 'kill' || what === 'stop' ? { ...when, what, who } : { ...when, what };
  }
}

/** One of those that things happen to. */
interface Player {
  name: string;
  dataDir: string;
  argv: readonly string[];
  wrapper: readonly string[];
  program: Program;
}

/**
 * Three agents and two coordinators on a real nats-server, all in processes of their own, which are killed and started again, stopped for a while,
 * or cut off by their cable as `acts` say, and nats-server is killed, while `ahead` jobs wait or run. Every job must end with the right outputs,
 * nothing may be paid twice, nothing that was accepted may be lost. `uncut`: why no cable was pulled, null where one was.
 */
export async function tortureByNetwork(dir: string, acts: Iterable<Act>, ahead: number): Promise<Finding & { uncut: string | null }> {
  const { wrong, expect } = checks();
  const laid = layCable(randomInt(100));
  const cable: Cable | null = typeof laid === 'string' ? null : laid;
  const host = cable?.host ?? '127.0.0.1';
  const rig = await natsRig({ host });
  const counts = { killed: 0, stopped: 0, cut: 0, nats: 0, jobs: 0 };
  const players: Player[] = [];
  const start = (name: string, argv: readonly string[], wrapper: readonly string[] = []): Player => {
    const dataDir = join(dir, name);
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    const player = { name, dataDir, argv, wrapper, program: new Program(dataDir, argv, wrapper) };
    players.push(player);
    return player;
  };
  const lines = async (dataDir: string, ...argv: string[]): Promise<Record<string, unknown>[]> => {
    const command = new Program(dataDir, argv);
    await command.exited;
    if (command.process.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${JSON.stringify(command.lines.at(-1))}`);
    return command.lines;
  };
  const once = async (dataDir: string, ...argv: string[]) => (await lines(dataDir, ...argv)).at(-1) ?? {};
  const restart = async (player: Player, event: string): Promise<void> => {
    // As a service manager does: nats-server may be down at just that moment.
    for (const end = performance.now() + SETTLE_MS; ; await sleep(500)) {
      player.program = new Program(player.dataDir, player.argv, player.wrapper);
      try {
        await player.program.until(event);
        return;
      } catch (thrown) {
        if (player.program.lines.at(-1)?.code !== 'NATS_UNREACHABLE' || performance.now() > end) throw thrown;
      }
    }
  };

  try {
    const creds = join(dir, 'nats.json');
    const credentials = { type: 'hearthlend coordinator credentials', version: 1, nats: rig.credentials, ca: rig.authority.ca };
    writeFileSync(creds, JSON.stringify(credentials), { mode: 0o600 });
    const terms = join(dir, 'terms.json');
    writeFileSync(terms, JSON.stringify({ isolation: ISOLATION, prices: [{ unit: 'run', perUnit: '3', note: '' }] }));
    const [natsUrl = ''] = rig.address().servers;
    const operating = (credsFile: string) => {
      const where = ['--port', '0', '--advertise', host, '--no-announce', '--nats', natsUrl, '--nats-creds', credsFile];
      return ['coordinator', ...where];
    };
    const first = start('coordinator-1', [...operating(creds), '--terms', terms, '--name', 'Torture']);
    await first.program.until('started');
    const share = join(dir, 'share.json');
    await once(first.dataDir, 'coordinator', 'share', '--out', share);
    const second = start('coordinator-2', operating(share));
    await second.program.until('started');
    // The port that was free is kept, so that who comes back is found where it was.
    for (const player of [first, second]) player.argv = withPort(player.argv, player.program);

    const joined = await Promise.all(
      AGENTS.map(async (name) => {
        const dataDir = join(dir, name);
        mkdirSync(dataDir, { mode: 0o700 });
        const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, acceptedIsolation: ISOLATION };
        writeFileSync(join(dataDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
        const { link } = await once(first.dataDir, 'network', 'invite');
        const { id } = await once(dataDir, 'network', 'join', String(link), '--yes');
        await once(dataDir, 'network', 'set', String(id), 'isolation', ISOLATION.join(','));
        return { name, id: String(id) };
      }),
    );
    for (const { name, id } of joined) {
      start(name, ['start', '--headless', '--network', id], name === 'agent-1' ? (cable?.inside ?? []) : []);
    }
    const agents = players.filter(({ name }) => name.startsWith('agent'));
    await Promise.all(agents.map(({ program }) => program.until('started')));
    const { id: network } = await once(first.dataDir, 'coordinator', 'status');
    const key = await once(first.dataDir, 'coordinator', 'key', 'create', '--name', 'torture');

    // Jobs all the while, each with an answer of its own that is known here.
    const requester = await openRequester({ dataDir: agents[1]?.dataDir ?? '', network: String(network), key: String(key.secret) });
    const modelDir = join(dir, 'model');
    mkdirSync(modelDir);
    for (const [path, bytes] of Object.entries(slowModel())) writeFileSync(join(modelDir, path), bytes);
    const model = await describeModel(join(modelDir, 'model.onnx'));
    const session = await InferenceSession.create(join(modelDir, 'model.onnx'), { intraOpNumThreads: 1 });
    const expected = async (turns: number) => {
      const { y } = await session.run({ turns: new Tensor('int64', BigInt64Array.of(BigInt(turns)), []) });
      if (y === undefined) throw new Error('the model gave nothing');
      return Buffer.from((y.data as Float32Array).buffer).toString('hex');
    };
    const over = new AbortController();
    const request = (turns: number) => ({
      ...{ kind: 'onnx.run' as const, model, inputs: encodeSafetensors(slowTurns(turns)), outputs: [] },
      limits: { wallMs: 60_000, memoryBytes: 2 ** 30, outputBytes: 2 ** 20 },
      session: { intraOpThreads: 1, graphOptimization: 'all' as const },
    });
    const finished = new Set<string>();
    let turns = 20_000;
    const submitting = async (): Promise<void> => {
      while (!over.signal.aborted) {
        turns += 1;
        const mine = turns;
        try {
          const job = await requester.submit(request(mine), { perUnit: undefined, maxCost: undefined }, () => undefined);
          counts.jobs += 1;
          const end = await requester.follow(job, () => undefined, new AbortController().signal);
          expect(end.state === 'done', `job ${job.id} ended as ${end.state} ${JSON.stringify(end.error)}`);
          if (end.state !== 'done') continue;
          const outputs = await requester.outputs(end, null);
          const found = Buffer.from(outputs.get('y')?.data ?? []).toString('hex');
          expect(found === (await expected(mine)), `job ${job.id} gave ${found} for ${mine} turns`);
          finished.add(job.id);
        } catch (thrown) {
          const { code, params } = asHearthlendError(thrown);
          expect(false, `a job of ${mine} turns: ${code} ${JSON.stringify(params)}`);
        }
      }
    };
    const requesting = Promise.all(Array.from({ length: ahead }, submitting));

    let natsKills: number[] = [];
    for (const act of acts) {
      await sleep(act.afterMs);
      if (act.what === 'nats') {
        // Whoever ends more often is not started again: that would be no help.
        natsKills = natsKills.filter((at) => performance.now() - at < 60_000);
        if (natsKills.length >= NATS_KILLS_A_MINUTE) continue;
        natsKills.push(performance.now());
        const { pid } = rig.server;
        try {
          if (pid !== undefined) process.kill(pid, 'SIGKILL');
        } catch {
          continue; // It is dead from before, and just about to be started again.
        }
        counts.nats += 1;
      } else if (act.what === 'cut') {
        if (cable === null) continue;
        cable.pull();
        await sleep(act.awayMs * 2);
        cable.plug();
        counts.cut += 1;
      } else {
        const victim = players.find(({ name }) => name === act.who) as Player;
        if (act.what === 'kill') {
          victim.program.process.kill('SIGKILL');
          await victim.program.exited;
          await sleep(act.awayMs / 4);
          await restart(victim, 'started');
          counts.killed += 1;
        } else {
          victim.program.process.kill('SIGSTOP');
          await sleep(act.awayMs);
          victim.program.process.kill('SIGCONT');
          counts.stopped += 1;
        }
      }
    }
    over.abort();
    const ended = await Promise.race([requesting.then(() => true), sleep(SETTLE_MS, false)]);
    expect(ended, `jobs were still open ${SETTLE_MS / 1000} s after everything was there again`);
    // What was accepted is recorded by its agent, and signed for.
    const settled = performance.now() + SETTLE_MS;
    const given = async () => {
      const workers = (await lines(first.dataDir, 'coordinator', 'workers')).filter(({ event }) => event === 'worker');
      return workers.reduce((sum, { accepted }) => sum + Number(accepted), 0);
    };
    const recorded = () => agents.reduce((sum, { dataDir }) => sum + recordedIn(dataDir).length, 0);
    while (performance.now() < settled && recorded() < (await given())) await sleep(500);
    // Each signs for what it was given, and the coordinators close what is open.
    for (const { program } of [...agents, second, first]) {
      program.process.kill('SIGINT');
      await program.exited;
    }
    const all = receiptsOf(join(first.dataDir, 'operator/state'));
    expect(new Set(all.map(({ shardId }) => shardId)).size === all.length, 'a shard was paid twice');
    expect(all.length >= finished.size, `${finished.size} jobs ended and ${all.length} receipts were given`);
    for (const { name, dataDir } of agents) {
      const recorded = recordedIn(dataDir);
      expect(
        recorded.length === ofWorker(all, dataDir),
        `${name} has ${recorded.length} receipts, and was given ${ofWorker(all, dataDir)}`,
      );
      const verified = await verifyBooks(dataDir);
      expect(verified.code === 0, `${name}'s ledger is broken: ${JSON.stringify(verified.result.problems?.[0])}`);
    }
  } finally {
    for (const { program } of players) {
      program.process.kill('SIGCONT');
      program.process.kill('SIGKILL');
      await program.exited;
    }
    await rig.stop();
    cable?.remove();
  }
  const { jobs, killed, stopped, nats, cut } = counts;
  const cables = cable === null ? `no cable was pulled (${laid})` : `an agent's cable pulled ${cut} times`;
  return {
    did: `${jobs} jobs while agents and coordinators were killed ${killed} times and stopped ${stopped}, nats-server killed ${nats}, ${cables}`,
    wrong,
    uncut: typeof laid === 'string' ? laid : null,
  };
}

/** The command line with the port that `--port 0` came to. */
function withPort(argv: readonly string[], program: Program): string[] {
  const ready = program.lines.find(({ event }) => event === 'started') as { https?: string[] } | undefined;
  const port = new URL(ready?.https?.[0] ?? '').port;
  return argv.map((each, at) => (argv[at - 1] === '--port' ? port : each));
}

/** Receipts in a coordinator's replica. */
function receiptsOf(folder: string): WorkReceipt[] {
  const db = new Database(join(folder, 'replica.db'), { readonly: true });
  try {
    return db
      .prepare('SELECT receipt FROM receipts')
      .pluck()
      .all()
      .map((text) => JSON.parse(String(text)) as WorkReceipt);
  } finally {
    db.close();
  }
}

function recordedIn(dataDir: string): WorkReceipt[] {
  const db = new Database(join(dataDir, 'ledger.db'), { readonly: true });
  try {
    return db
      .prepare('SELECT body FROM receipts')
      .pluck()
      .all()
      .map((text) => JSON.parse(String(text)) as WorkReceipt);
  } finally {
    db.close();
  }
}

function ofWorker(receipts: readonly WorkReceipt[], dataDir: string): number {
  const { address } = JSON.parse(readFileSync(join(dataDir, 'identity.json'), 'utf8')) as { address: string };
  return receipts.filter(({ worker }) => worker.toLowerCase() === address.toLowerCase()).length;
}
