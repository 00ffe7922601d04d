import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { openPrompts } from '../../../core/prompts.ts';
import { CurrentView } from '../../../core/screen/current.ts';
import { createWorkLoop } from '../../../core/work/loop.ts';
import type { WorkPorts } from '../../../core/work/ports.ts';
import { digestOf } from '../../fakes/network.ts';
import { type Bench, COMPUTED, manualCompute, openBench } from './workbench.ts';

const SECRET = 'a stranger’s diary';
const bytes = new TextEncoder().encode(SECRET);
const INPUTS = encodeSafetensors(new Map([['x', { type: 'uint8', shape: [bytes.byteLength], data: bytes }]]));
const OUTPUTS = encodeSafetensors(new Map([['y', { type: 'uint8', shape: [bytes.byteLength], data: bytes }]]));
const RESULT = { ...COMPUTED, outputs: OUTPUTS, commitment: digestOf(OUTPUTS) };
/** As ONNX Runtime puts inputs into its words. */
const failing = async () => {
  throw new HearthlendError('RUN_FAILED', { detail: `indices element out of bounds: ${SECRET}` });
};

/** A loop on strangers' work. */
async function strangers(shards: number, compute: WorkPorts['compute'] = async () => RESULT): Promise<Bench> {
  const bench = await openBench(shards, compute);
  bench.network.origin = 'network';
  bench.ports.fetchInputs = async () => INPUTS;
  return bench;
}

const spooled = ({ dir }: Bench) => readdirSync(join(dir, 'spool'));
/** Everything that lies in the data folder, as text. */
const written = ({ dir }: Bench) =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'))
    .join('\n');
const secret = Buffer.from(SECRET).toString('latin1');

/** Nothing of it is left: neither bytes in the spool, nor words anywhere. */
function expectNothingLeft(bench: Bench): void {
  expect(spooled(bench)).toEqual([]);
  expect(written(bench)).not.toContain(secret);
  expect(JSON.stringify(bench.changes.filter(({ type }) => type === 'ended' || type === 'fault'))).not.toContain(SECRET);
}
const states = (bench: Bench) => bench.changes.flatMap((change) => (change.type === 'ended' ? [change.end.state] : []));
const untilEnded = async (bench: Bench) => {
  while (states(bench).length === 0) await new Promise((resolve) => setImmediate(resolve));
};

describe('of a stranger’s work nothing stays on this machine', () => {
  it('once it is accepted', async () => {
    const bench = await strangers(3);
    let most = 0;
    const put = bench.spool.put.bind(bench.spool);
    bench.spool.put = async (...args) => {
      await put(...args);
      most = Math.max(most, spooled(bench).length);
    };
    await bench.loop.run({ shards: 3, practice: true });
    expect(most).toBe(1);
    expect(states(bench)).toEqual(['accepted', 'accepted', 'accepted']);
    expectNothingLeft(bench);
  });

  it.each([
    ['rejected', { type: 'rejected', code: 'RESULT_MALFORMED', detail: 'no' }],
    ['expired', { type: 'expired' }],
  ] as const)('once it is %s by the network', async (state, reply) => {
    const bench = await strangers(1);
    bench.network.refuse = reply;
    const running = bench.loop.run({ shards: null, practice: true });
    await untilEnded(bench);
    bench.loop.stop(false);
    await running;
    expect(states(bench)).toEqual([state]);
    expectNothingLeft(bench);
  });

  it('once it failed, whatever the error says of its inputs, which the network is told', async () => {
    const bench = await strangers(1, failing);
    const told: unknown[] = [];
    bench.network.release = async (...args) => void told.push(args.at(-1));
    const running = bench.loop.run({ shards: null, practice: true });
    await untilEnded(bench);
    bench.loop.stop(false);
    await running;
    expect(states(bench)).toEqual(['failed']);
    expect(JSON.stringify(told)).toContain(SECRET);
    expectNothingLeft(bench);
  });

  const breakOff: [state: string, (bench: Bench) => void][] = [
    ['released', ({ loop }) => loop.pause()],
    ['cancelled', ({ network }) => network.emit({ type: 'revoked', shardId: 's1', attempt: 1 })],
    ['expired', ({ network }) => void Object.assign(network, { held: false })],
  ];
  it.each(breakOff)('once it is %s while it runs', async (state, end) => {
    const { compute, next } = manualCompute();
    const bench = await strangers(1, compute);
    const running = bench.loop.run({ shards: null, practice: true });
    await next(1);
    end(bench);
    await untilEnded(bench);
    bench.loop.stop(true);
    await running;
    expect(states(bench)).toEqual([state]);
    expectNothingLeft(bench);
  });

  it('where its result could not be recorded', async () => {
    const bench = await strangers(1);
    const full = () => {
      throw new HearthlendError('DATA_DIR_UNWRITABLE', { path: bench.dir, detail: 'no' });
    };
    const loop = createWorkLoop({ ...bench.ports, journal: { ...bench.journal, handingIn: full } });
    await expect(loop.run({ shards: 1, practice: true })).rejects.toMatchObject({ code: 'DATA_DIR_UNWRITABLE' });
    expectNothingLeft(bench);
  });

  it('after a crash, but for what is to be sent again', async () => {
    const bench = await strangers(0);
    const orphan = digestOf(bytes);
    // Computed and never recorded; and begun, and computed and recorded.
    await bench.spool.put(orphan, bytes);
    bench.network.shardsLeft = 2;
    for (const shardId of ['s1', 's2']) {
      const reply = await bench.network.lease();
      if (reply.type !== 'lease') throw new Error('no lease');
      bench.journal.leased({ ...reply.lease, shard: { ...reply.lease.shard, id: shardId } });
      const key = { network: 'test', shardId, attempt: 1 };
      bench.journal.fetched(key);
      bench.journal.running(key);
      if (shardId === 's1') continue;
      await bench.spool.put(RESULT.commitment, OUTPUTS);
      bench.journal.handingIn([{ key, result: { commitment: RESULT.commitment, outputBytes: OUTPUTS.byteLength, units: 1, runMs: 1 } }]);
    }
    await bench.journal.durable();
    // As the engine does at its start.
    await bench.spool.sweep(new Set(bench.ledger.unfinished().flatMap(({ outputs }) => outputs ?? [])));
    expect(spooled(bench)).toEqual([RESULT.commitment]);
    await createWorkLoop(bench.ports).run({ shards: 0, practice: true });
    expectNothingLeft(bench);
    expect(bench.ledger.unfinished()).toEqual([]);
  });

  it('where its recorded bytes turn out damaged', async () => {
    const bench = await strangers(1);
    const reply = await bench.network.lease();
    if (reply.type !== 'lease') throw new Error('no lease');
    const key = { network: 'test', shardId: 's1', attempt: 1 };
    bench.journal.leased(reply.lease);
    bench.journal.fetched(key);
    bench.journal.running(key);
    await bench.spool.put(RESULT.commitment, OUTPUTS);
    bench.journal.handingIn([{ key, result: { commitment: RESULT.commitment, outputBytes: OUTPUTS.byteLength, units: 1, runMs: 1 } }]);
    await bench.journal.durable();
    writeFileSync(join(bench.dir, 'spool', RESULT.commitment), SECRET);
    await createWorkLoop(bench.ports).run({ shards: 0, practice: true });
    expectNothingLeft(bench);
  });

  it('and while it runs, the screen has no words of it, where it has those of practice', async () => {
    const words = { decode: () => SECRET, stream: () => () => SECRET };
    const ids = encodeSafetensors(new Map([['input_ids', { type: 'int64', shape: [1, 1], data: new Uint8Array(8) }]]));
    const bench = await strangers(1);
    const reply = await bench.network.lease();
    if (reply.type !== 'lease') throw new Error('no lease');
    const { shard } = reply.lease;
    const { outputs: _, ...rest } = shard.kind === 'onnx.run' ? shard : { ...shard, outputs: [] };
    const decoder = { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 16 };
    const generate = {
      ...rest,
      kind: 'onnx.generate' as const,
      decoder,
      maxNewTokens: 9,
      stopTokens: [],
      sampling: { method: 'greedy' as const },
    };
    for (const [origin, shows] of [
      ['network', false],
      ['practice', true],
      ['own', true],
    ] as const) {
      const view = new CurrentView(() => words);
      view.start({ ...generate, origin }, 1, ids, 0);
      expect(JSON.stringify([view.token(1), view.current]).includes(SECRET)).toBe(shows);
    }
  });

  it('nor has an answer that the owner waits for, though the stranger calls their job as it is called', async () => {
    const told: unknown[] = [];
    const text = { decode: () => SECRET, stream: () => () => SECRET };
    const decoder = { layers: 1, keyValueHeads: 1, headSize: 1, maxPositions: 16 };
    const limits = { wallMs: 1, memoryBytes: 1, outputBytes: 1 };
    const local = { manifest: { format: 'onnx' as const, entry: 'm', files: [] }, files: new Map() };
    const model = { local, decoder, stopTokens: [], limits, text, encode: () => [1] };
    const intake = { submitJob: async () => ({ id: 'j1' }) } as unknown as Parameters<typeof openPrompts>[1];
    const prompts = openPrompts(model, intake, (event) => told.push(event), Date.now);
    await prompts.ask({ prompt: 'mine', maxNewTokens: 4, sampling: { method: 'greedy' } });
    const bench = await strangers(1);
    const reply = await bench.network.lease();
    if (reply.type !== 'lease') throw new Error('no lease');
    prompts.onToken(reply.lease.shard, 1, 0);
    expect(told).toEqual([]);
    prompts.onToken({ ...reply.lease.shard, origin: 'own' }, 1, 0);
    expect(JSON.stringify(told)).toContain(SECRET);
  });
});
