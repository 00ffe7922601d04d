import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { operate } from '../../cli/operator/operate.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { compareOutputs } from '../../coordinator/trust/comparison.ts';
import type { JobRequest } from '../../core/contract/jobs.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import { openPracticeRuns, type Task } from '../coordinator/trust/practice-runs.ts';
import { Program } from '../endurance/agent.ts';
import { LIARS } from '../fakes/lies.ts';
import { LyingAgent } from '../fakes/lying-agent.ts';
import { checks, type Finding } from './finding.ts';

const HONEST = 2;
/** Jobs that wait or run at once. */
const AHEAD = 6;
const ISOLATION = ['os', 'chromium', 'process'];

/**
 * One liar of each kind beside honest agents in processes of their own, on a real network with its own nats-server: every liar is to be suspended, nobody
 * honest blamed, and every job's answer right but for those that a liar who was trusted by then got past the audits.
 * @param ms how long it may take until the last one is caught
 */
export async function tortureByLiveLiars(dir: string, ms: number): Promise<Finding> {
  const { wrong, expect } = checks();
  const installation = findInstallation(fileURLToPath(import.meta.url));
  const terms = join(dir, 'terms.json');
  writeFileSync(terms, JSON.stringify({ isolation: ISOLATION }));
  const operated = await operate(
    {
      ...{ dir: join(dir, 'operator'), version: installation.version, name: 'Liars', operator: 'Ann', terms, port: 0 },
      ...{ websocket: false, models: [], advertise: ['127.0.0.1'], nats: null, announced: false, restoreLog: false },
    },
    installation,
  );
  const agents: Program[] = [];
  const liars: LyingAgent[] = [];
  const told: string[] = [];
  try {
    const invite = async () => (await operated.handlers.invite({ lastingMs: 600_000 })).link;
    for (let number = 0; number < HONEST; number += 1) {
      const dataDir = join(dir, `honest-${number}`);
      mkdirSync(dataDir, { mode: 0o700 });
      const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, acceptedIsolation: ISOLATION };
      writeFileSync(join(dataDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
      const joining = new Program(dataDir, ['network', 'join', await invite(), '--yes']);
      await joining.exited;
      agents.push(new Program(dataDir, ['start', '--headless']));
    }
    await Promise.all(agents.map((agent) => agent.until('started')));
    const honest = new Set((await operated.handlers.workers({})).workers.map(({ worker }) => worker));

    const runs = await openPracticeRuns(join(dir, 'runs'));
    const requestOf = ({ shard, inputs }: Task): JobRequest => {
      const { limits, session } = shard;
      const base = { model: runs.practice.model, inputs, limits, session };
      if (shard.kind === 'onnx.run') return { ...base, kind: shard.kind, outputs: shard.outputs };
      const { kind, decoder, maxNewTokens, stopTokens, sampling } = shard;
      return { ...base, kind, decoder, maxNewTokens, stopTokens, sampling };
    };
    let next = 0;
    const jobs: { id: string; task: Task }[] = [];
    const submitOne = async (): Promise<void> => {
      next += 1;
      const task = next % 2 === 0 ? runs.scoring(next, 12) : runs.generation(next, 12);
      const { id } = await operated.intake.submitJob(requestOf(task));
      jobs.push({ id, task });
      for (;;) {
        const state = (await operated.intake.job(id))?.state;
        if (state === 'done') return;
        if (state === 'failed' || state === 'cancelled') {
          wrong.push(`job ${id} ended as ${state}`);
          return;
        }
        await sleep(50);
      }
    };
    const until = performance.now() + ms;
    let over = false;
    const work = Promise.all(
      Array.from({ length: AHEAD }, async () => {
        while (!over) await submitOne();
      }),
    );
    for (const lie of LIARS) liars.push(await LyingAgent.start({ link: await invite(), lie, isolation: 'process' }));
    const standing = async () => (await operated.handlers.workers({})).workers;
    const isSuspended = (row: { suspendedUntil: number | null } | undefined) => (row?.suspendedUntil ?? 0) > Date.now();
    while (performance.now() < until) {
      const rows = await standing();
      if (liars.every(({ worker }) => isSuspended(rows.find((row) => row.worker === worker)))) break;
      await sleep(500);
    }
    over = true;
    await work;
    const rows = await standing();
    for (const [at, { worker, answers }] of liars.entries()) {
      const row = rows.find((each) => each.worker === worker);
      const lies = answers.filter(({ lied }) => lied);
      const passed = lies.filter(({ reply }) => reply === 'accepted').length;
      expect(isSuspended(row), `${LIARS[at]}: not suspended after ${answers.length} answers, ${lies.length} of them lies`);
      expect(passed === 0 || LIARS[at] === 'honest until trusted', `${LIARS[at]}: ${passed} of its lies were accepted`);
      told.push(`${LIARS[at]}: ${answers.length} answers, ${lies.length} lies, ${passed} accepted, ${row?.audits.bad} bad audits`);
    }
    for (const { worker, audits } of rows) if (honest.has(worker)) expect(audits.bad === 0, `an honest agent has ${audits.bad} bad audits`);
    const past = liars.flatMap(({ answers }) => answers.filter(({ lied, reply }) => lied && reply === 'accepted')).length;
    let off = 0;
    for (const { id, task } of jobs) {
      const right = decodeSafetensors(await runs.compute(task));
      const { detail } = compareOutputs(decodeSafetensors(await operated.intake.outputs(id)), right, { tolerance: () => 1e-4 });
      if (detail !== undefined) off += 1;
    }
    expect(off <= past, `${off} of ${jobs.length} jobs have wrong outputs, and ${past} lies were accepted`);
    told.push(`${jobs.length} jobs, ${off} with a trusted liar's answer`);
  } finally {
    for (const liar of liars) await liar.stop();
    for (const agent of agents) {
      agent.process.kill('SIGKILL');
      await agent.exited;
    }
    await operated.close();
  }
  return { did: `${HONEST} honest agents and ${LIARS.length} liars on a network\n  ${told.join('\n  ')}`, wrong };
}
