import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { appPorts } from '../../cli/ports/app-ports.ts';
import { findInstallation } from '../../cli/ports/installation.ts';
import { createApp } from '../../core/app.ts';
import { verifyBooks } from '../endurance/agent.ts';
import { checks, type Finding } from './finding.ts';

const hostile = join(import.meta.dirname, '../fakes/workers/hostile.mjs');
const BEHAVIOURS = {
  lies: ['sends-other-outputs', 'takes-tokens-back', 'counts-more-tokens', 'answers-another-request', 'blames-the-ledger'],
  hangs: ['never-ready', 'exits', 'crashes'],
  leaks: ['eats-memory'],
  floods: ['sends-without-end', 'makes-tokens-without-end', 'shouts-and-exits', 'writes-rubbish', 'announces-a-huge-body'],
};
const WITHIN_MS = 30_000;
const AGENT_GROWTH_BYTES = 300 * 2 ** 20;

/** A whole agent whose worker is against it: nothing is credited, nothing is left behind, the agent stays up and says what is wrong. */
export async function tortureByWorkers(dir: string): Promise<Finding> {
  const { wrong, expect } = checks();
  // A worker's script lies where its packages are found from.
  symlinkSync(join(import.meta.dirname, '../../node_modules'), join(dir, 'node_modules'));
  const told: string[] = [];
  const behaviours = Object.values(BEHAVIOURS).flat();
  for (const behaviour of behaviours) {
    const dataDir = join(dir, behaviour);
    mkdirSync(dataDir, { recursive: true });
    const workerScript = join(dir, `${behaviour}.mjs`);
    writeFileSync(workerScript, readFileSync(hostile, 'utf8').replace('process.argv[2]', JSON.stringify(behaviour)));
    const ports = appPorts({ dataDir, installation: findInstallation(import.meta.filename) });
    const codes: string[] = [];
    const failing = Promise.withResolvers<void>();
    const app = await createApp({
      ...ports,
      parts: { ...ports.parts, workerScript },
      log(_level, event, facts) {
        const code = event === 'attempt ended' && facts?.state !== 'accepted' ? String(facts?.code ?? facts?.state) : undefined;
        if (code === undefined) return;
        codes.push(code);
        failing.resolve();
      },
    });
    const before = process.memoryUsage.rss();
    await app.start({ shards: null, networks: ['local'] });
    const timer = setTimeout(() => failing.reject(new Error('nothing was refused')), WITHIN_MS);
    await failing.promise.catch((error: Error) => wrong.push(`${behaviour}: ${error.message}`)).finally(() => clearTimeout(timer));
    const { accepted } = await app.stop({ now: true });
    expect(accepted === 0, `${behaviour}: ${accepted} results of it were accepted`);
    expect(
      process.memoryUsage.rss() - before < AGENT_GROWTH_BYTES,
      `${behaviour}: the agent grew by ${process.memoryUsage.rss() - before} bytes`,
    );
    const verified = await verifyBooks(dataDir);
    expect(verified.code === 0 && verified.result.ok === true, `${behaviour}: the ledger is broken`);
    told.push(`${behaviour} → ${codes[0] ?? 'nothing'}`);
  }
  return { did: `workers that lie, hang, leak and flood: ${told.join(', ')}`, wrong };
}
