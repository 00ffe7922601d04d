import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { CPU } from '../../../core/contract/backends.ts';
import { ModelManifest } from '../../../core/contract/model.ts';
import type { Network } from '../../../core/contract/network.ts';
import type { Lease } from '../../../core/contract/shard.ts';
import { runStage } from '../../../core/supervisor/stage-worker.ts';
import type { SupervisorOptions } from '../../../core/supervisor/supervisor.ts';
import { ASK } from '../workbench.ts';

interface Playing {
  worker: SupervisorOptions;
  threads?: number;
  /** Stages that it has room for. */
  room?: number;
  /** Whether it is done when nothing is lent and nothing runs; left out: at once. */
  until?: () => Promise<boolean>;
  /** Called before each exchange of a stage with how many steps the attempt has computed. */
  onStep?: (lease: Lease, step: number, kill: () => void) => void;
}

/** A machine that takes stages until nothing is lent and nothing runs, each in a worker of its own. Gives the leases that it had. */
export async function playStages(coordinator: Network, { worker, threads = 1, room = 8, until, onStep }: Playing): Promise<Lease[]> {
  const leases: Lease[] = [];
  const open = new Set<Promise<void>>();
  const pathOf = async (digest: string) => {
    const source = await coordinator.fetchBlob(digest, 0);
    if (source.type === 'file') return source.path;
    const path = join(worker.workDir, digest);
    await writeFile(path, source.stream);
    return path;
  };
  const compute = async (lease: Lease): Promise<void> => {
    const { shard, attempt } = lease;
    const { digest } = shard.model;
    const manifest = ModelManifest.parse(JSON.parse(await readFile(await pathOf(digest), 'utf8')));
    const files = new Map<string, string>();
    for (const file of manifest.files) files.set(file.path, await pathOf(file.digest));
    let kill: () => void = () => undefined;
    try {
      const task = { shard, model: { digest, manifest, files }, inputs: new Uint8Array(), threads, provider: CPU };
      const made = await runStage(worker, task, {
        signal: new AbortController().signal,
        onBegin: () => undefined,
        onProcess: ({ pid }) => {
          kill = () => process.kill(pid as number, 'SIGKILL');
        },
        exchange: async (step, outputs) => {
          onStep?.(lease, step, kill);
          return (await coordinator.exchange?.(shard.id, attempt, step, outputs)) ?? { type: 'wait' };
        },
      });
      const { commitment, runMs, tokensMade: units, outputs } = made;
      const submission = { shardId: shard.id, attempt, commitment, outputBytes: outputs.byteLength, units, runMs };
      const reply = await coordinator.submit(submission, outputs);
      if (reply.type !== 'accepted') throw new Error(`${shard.id} was not accepted: ${JSON.stringify(reply)}`);
    } catch (thrown) {
      const { code, params } = thrown as { code?: string; params?: Record<string, string | number> };
      if (code === undefined) throw thrown;
      await coordinator.release(shard.id, attempt, code === 'WORKER_CRASHED' ? 'crashed' : 'failed', code, params);
    }
  };
  for (;;) {
    const reply = await coordinator.lease({ ...ASK, practice: false, stages: room - open.size });
    if (reply.type === 'lease') {
      leases.push(reply.lease);
      const running: Promise<void> = compute(reply.lease).finally(() => open.delete(running));
      open.add(running);
    } else if (open.size > 0) await Promise.race(open);
    else if (until === undefined || (await until())) return leases;
    else await turn();
  }
}
