import { setImmediate } from 'node:timers';
import { encodeFramePrefix } from '../../core/contract/frame.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { StartedWorker, WorkerListener } from '../../core/contract/worker-host.ts';
import { WORKER_FRAME_LIMITS, type WorkerReply, type WorkerRequest } from '../../core/contract/worker-messages.ts';
import type { Finding } from './finding.ts';
import { fuzzBench, passOver } from './fuzz-bench.ts';
import { mutated, numbers } from './mutate.ts';

const Y = encodeSafetensors(new Map([['y', { type: 'float32', shape: [2], data: new Uint8Array(8) }]]));
/** Most broken frames are known for that at once; for the rest of one that is cut off nobody has to wait. */
const WALL_MS = 20;

type Spoil = (frame: Uint8Array, type: WorkerReply['type']) => Uint8Array;

/** A worker that answers as agreed, but for one frame of each run, which is mutated. */
class BrokenWorker implements StartedWorker {
  readonly pid = undefined;
  readonly readyMs = WALL_MS;
  readonly runtimeBytes = 0;
  readonly #spoil: Spoil;
  #listener: WorkerListener | undefined;

  constructor(spoil: Spoil) {
    this.#spoil = spoil;
  }

  listen(listener: WorkerListener): void {
    this.#listener = listener;
    this.#say({ type: 'ready', onnxruntime: '1.30.0', node: '24.9.0' });
  }

  send(request: WorkerRequest): void {
    const { id, type } = request;
    if (type === 'load') {
      const value = { name: 'y', type: 'float32' as const, shape: [2] };
      this.#say({ type: 'loaded', id, loadMs: 1, inputs: [], outputs: [value], residentBytes: 1 });
    } else if (type === 'unload') this.#say({ type: 'unloaded', id });
    else this.#say({ type: 'result', id, runMs: 1, tokensMade: 0, nearTies: 0, residentBytes: 1 }, Y);
  }

  kill(): void {
    const listener = this.#listener;
    this.#listener = undefined;
    setImmediate(() => listener?.gone('killed'));
  }

  usage(): null {
    return null;
  }

  #say(reply: WorkerReply, body: Uint8Array = new Uint8Array(0)): void {
    const frame = Buffer.concat([encodeFramePrefix(reply, body.byteLength, WORKER_FRAME_LIMITS), body]);
    const bytes = this.#spoil(frame, reply.type);
    setImmediate(() => this.#listener?.data(bytes));
  }
}

/** Workers' answers with bytes changed, to a real supervisor: each is refused by its code or taken, and the worker is started anew within its budget. */
export async function tortureByFrames(dir: string, frames: number, seed: number): Promise<Finding> {
  const random = numbers(seed);
  let spoiled: WorkerReply['type'] | null = null;
  const spoil: Spoil = (frame, type) => {
    if (type !== spoiled) return frame;
    spoiled = null;
    return mutated(frame, random);
  };
  const bench = fuzzBench(dir, { start: () => new BrokenWorker(spoil), vet: async () => undefined });
  const model = bench.stored({ 'model.onnx': new Uint8Array(8) });
  const task = passOver(model, new Uint8Array(8), WALL_MS);
  for (let frame = 0; frame < frames; frame += 1) {
    // Those before a result come only where the worker is new; else its result is the next to come.
    const roll = random();
    spoiled = roll < 0.1 ? 'ready' : roll < 0.3 ? 'loaded' : 'result';
    await bench.run(task, `frame ${frame} of seed ${seed}`);
    while (spoiled !== null) {
      spoiled = 'result';
      await bench.run(task, `frame ${frame} of seed ${seed}`);
    }
  }
  const { codes, starts, wrong } = await bench.end();
  return { did: `${frames} mutated frames of seed ${seed}, of ${starts} workers: ${codes}`, wrong };
}
