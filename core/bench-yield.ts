import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createApp } from './app.ts';
import type { AppPorts } from './app-ports.ts';
import type { Measure } from './bench/measure.ts';
import { measureYield } from './bench/yield.ts';
import { HearthlendError } from './contract/errors.ts';
import type { EmbeddedCoordinator } from './contract/jobs.ts';
import type { PauseRecord, SignalContext } from './contract/policy.ts';
import { encodeSafetensors } from './contract/safetensors.ts';
import { loadPromptModel } from './prompt-model.ts';

const PROMPT = 'light (noun):';
/** Nobody's address: of a worker that only takes what was released, and hands it back. */
const OTHER = `0x${'1'.repeat(40)}`;
const GAME = [{ name: 'Bench', pid: 1 }];

/** A whole agent whose one source of signals is the bench, and which practises nothing. */
export async function* withYield(portsOf: (dataDir: string) => AppPorts, dataDir: string, quick: boolean): AsyncGenerator<Measure> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  writeFileSync(join(dataDir, 'settings.json'), JSON.stringify({ practice: { shardsPerDay: 0, minutesPerDay: 0 } }), { mode: 0o600 });
  const ports = portsOf(dataDir);
  let context: SignalContext | undefined;
  let coordinator: EmbeddedCoordinator | undefined;
  let agent = { address: OTHER, payee: OTHER };
  const app = await createApp({
    ...ports,
    signalSources: [
      {
        name: 'bench',
        start(given) {
          context = given;
          return () => undefined;
        },
      },
    ],
    async createCoordinator(needs) {
      const made = await ports.createCoordinator(needs);
      const connect: EmbeddedCoordinator['connect'] = (worker) => {
        agent = worker;
        return made.connect(worker);
      };
      coordinator = { ...made, connect };
      return coordinator;
    },
  });
  const { local, decoder, encode } = await loadPromptModel(ports.parts.practiceModel);
  const ids = encode(PROMPT);
  const input = { type: 'int64' as const, shape: [1, ids.length], data: new Uint8Array(BigInt64Array.from(ids, BigInt).buffer) };
  let look: () => void = () => undefined;
  let words = 0;
  const leave = app.events(({ event }) => {
    if (event === 'current.text') words += 1;
    look();
  });
  /** Waits for events until there is an answer. */
  const until = async <T>(answer: () => T | null | Promise<T | null>): Promise<T> => {
    for (;;) {
      const { promise, resolve } = Promise.withResolvers<void>();
      look = resolve;
      const found = await answer();
      if (found !== null) return found;
      await promise;
    }
  };
  const lastPause = async (): Promise<PauseRecord | null> => {
    const last = (await app.handlers['policy.history']({ from: 0, to: ports.clock() + 1 })).at(-1);
    return last === undefined || last.to !== null || last.yieldMs === null ? null : last;
  };
  let jobId = '';
  let shardId = '';
  try {
    await app.start({ shards: null, networks: ['local'], practice: false });
    const network = coordinator;
    if (network === undefined || context === undefined) throw new HearthlendError('INTERNAL', { detail: 'the agent asked for no signals' });
    const { publish } = context;
    yield* measureYield(
      {
        async busy() {
          words = 0;
          const job = await network.submitJob({
            kind: 'onnx.generate',
            model: local,
            decoder,
            inputs: encodeSafetensors(new Map([['input_ids', input]])),
            maxNewTokens: decoder.maxPositions - ids.length,
            stopTokens: [],
            sampling: { method: 'greedy' },
            limits: { wallMs: 120_000, memoryBytes: 2 ** 31, outputBytes: 2 ** 20 },
            session: { intraOpThreads: 1, graphOptimization: 'all' },
          });
          jobId = job.id;
          await until(() => (words > 0 ? true : null));
          shardId = (await app.handlers['app.watch']({})).current?.shardId ?? '';
        },
        async yield() {
          publish({ programs: GAME });
          return until(lastPause);
        },
        async relent() {
          await until(async () => ((await app.handlers['app.watch']({})).recent[0]?.state === 'released' ? true : null));
          const own = agent;
          await network.connect({ address: OTHER, payee: OTHER });
          const reply = await network.lease({ isolation: 'os', warmModels: [], memoryBytes: 2 ** 40, practice: false });
          const relent = reply.type === 'lease' && reply.lease.shard.id === shardId;
          if (reply.type === 'lease') await network.release(reply.lease.shard.id, reply.lease.attempt, 'stopped', null);
          await network.connect(own);
          return relent;
        },
        async calm() {
          await network.cancelJob(jobId);
          publish({ programs: [] });
          const { rules } = await app.handlers['settings.get']({});
          // A rule that is off lets go at once; nobody waits a minute for each trial.
          for (const pause of [false, true]) await app.handlers['settings.set']({ rules: { programs: { ...rules.programs, pause } } });
        },
      },
      quick,
    );
  } finally {
    leave();
    await app.stop({ now: true });
  }
}
