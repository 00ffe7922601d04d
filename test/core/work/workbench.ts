import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { HearthlendError } from '../../../core/contract/errors.ts';
import { encodeSafetensors } from '../../../core/contract/safetensors.ts';
import { openIdentity } from '../../../core/identity/identity.ts';
import { createJournal } from '../../../core/journal.ts';
import { type Ledger, openLedger } from '../../../core/ledger/ledger.ts';
import { openSpool, type Spool } from '../../../core/ledger/spool.ts';
import { createWorkLoop, type WorkLoop } from '../../../core/work/loop.ts';
import type { ConnectedNetwork, WorkChange, WorkJournal, WorkPorts } from '../../../core/work/ports.ts';
import { digestOf, FakeNetwork } from '../../fakes/network.ts';

export const OUTPUTS = encodeSafetensors(new Map([['y', { type: 'float32', shape: [1], data: new Uint8Array(4) }]]));
export const COMPUTED = { outputs: OUTPUTS, commitment: digestOf(OUTPUTS), runMs: 1, backend: 'cpu' as const, tokensMade: 0 };

export interface Bench {
  dir: string;
  /** The worker's. */
  address: string;
  network: FakeNetwork;
  ledger: Ledger;
  journal: WorkJournal;
  spool: Spool;
  loop: WorkLoop;
  changes: WorkChange[];
  ports: WorkPorts;
  from: ConnectedNetwork;
}

/** A loop on a real ledger, spool and identity, with a fake network and a fake worker. */
export async function openBench(shards: number, compute?: WorkPorts['compute'], lanes = 1): Promise<Bench> {
  const dir = mkdtempSync(join(tmpdir(), 'hearthlend-loop-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const identity = openIdentity(join(dir, 'identity.json'));
  const ledger = openLedger({ path: join(dir, 'ledger.db'), signer: identity });
  onTestFinished(() => ledger.close());
  const spool = await openSpool(join(dir, 'spool'));
  const network = new FakeNetwork(shards);
  const info = await network.connect({ address: identity.address, payee: identity.address });
  const from: ConnectedNetwork = { network, info, admitted: () => true };
  const changes: WorkChange[] = [];
  const journal = createJournal(ledger, { clock: Date.now, payee: identity.address, device: () => undefined });
  const ports: WorkPorts = {
    clock: Date.now,
    networks: [from],
    journal,
    spool,
    holdModel: async (_network, { digest }) => ({
      digest,
      manifest: { format: 'onnx', entry: 'm', files: [] },
      files: new Map(),
      release: () => undefined,
    }),
    fetchInputs: async (each, { digest }) => {
      await each.fetchBlob(digest, 0);
      return new Uint8Array(4);
    },
    compute: inLanes(compute ?? (async () => COMPUTED), lanes),
    warmModels: () => [],
    isolation: () => 'os',
    lanes: () => lanes,
    stageRoom: () => ({ stages: 0 }),
    memoryBytes: 1 << 30,
    signBatch: (batch) => identity.signBatch(batch),
    onChange: (change) => changes.push(change),
  };
  return { dir, address: identity.address, network, ledger, journal, spool, loop: createWorkLoop(ports), changes, ports, from };
}

/** Workers as there are lanes: what comes while all are at something waits, and begins in its turn. */
function inLanes(compute: WorkPorts['compute'], lanes: number): WorkPorts['compute'] {
  let free = lanes;
  const waiting: Array<() => void> = [];
  return async (task, hooks) => {
    if (free === 0) {
      const turn = Promise.withResolvers<void>();
      waiting.push(turn.resolve);
      hooks.signal.addEventListener('abort', () => {
        const at = waiting.indexOf(turn.resolve);
        if (at < 0) return;
        waiting.splice(at, 1);
        turn.reject(new HearthlendError('CANCELLED'));
      });
      await turn.promise;
    } else free -= 1;
    try {
      hooks.onBegin();
      return await compute(task, hooks);
    } finally {
      const next = waiting.shift();
      if (next === undefined) free += 1;
      else next();
    }
  };
}

/** Computes only when told to, so that a test can look while a shard runs; an abort rejects as a killed worker does. */
export function manualCompute() {
  const started: Array<{ shardId: string; finish: () => void }> = [];
  let announce: () => void = () => undefined;
  const compute: WorkPorts['compute'] = ({ shard }, { signal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new HearthlendError('WORKER_STOPPED')));
      started.push({ shardId: shard.id, finish: () => resolve(COMPUTED) });
      announce();
    });
  const next = async (count: number) => {
    while (started.length < count) await new Promise<void>((resolve) => (announce = resolve));
    return started[count - 1] as (typeof started)[number];
  };
  return { compute, next };
}
