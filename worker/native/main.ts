import { parentPort } from 'node:worker_threads';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { Frame } from '../../core/contract/frame.ts';
import { WorkerRequest } from '../../core/contract/worker-messages.ts';
import { Endings } from '../shard/endings.ts';
import { boundedParams } from '../shard/failure.ts';
import { force } from '../shard/force.ts';
import { run } from '../shard/run.ts';
import { readStage, type StageLayout, step } from '../shard/stage.ts';
import { CachedPasses } from './cached-passes.ts';
import { generate } from './generate.ts';
import { loadOnnxRuntime, type Ort } from './onnxruntime.ts';
import { Sessions } from './sessions.ts';
import { forwardStdin, readStdin } from './stdin.ts';
import { reserveStdout, writeReply } from './stdout.ts';

/**
 * The native worker: computes shards and does nothing else. `node native.mjs MODELS`, where MODELS is its one folder of models. Requests come
 * in frames on stdin, replies leave in frames on stdout, and it ends when stdin does.
 */
async function serve(modelsDir: string): Promise<void> {
  reserveStdout();
  const answer = start(modelsDir);
  let previous: Promise<unknown> = answer;
  readStdin(import.meta.filename, (message) => {
    if (message === 'end') process.exit(0);
    if (endings.take(message.header)) return;
    previous = previous.then(async () => (await answer)(message));
  });
  await answer;
}

async function start(modelsDir: string): Promise<(frame: Frame) => Promise<void>> {
  const ort = await loadOnnxRuntime();
  const sessions = new Sessions(ort, modelsDir);
  writeReply({ type: 'ready', onnxruntime: ort.env.versions.node ?? 'unknown', node: process.versions.node });
  return async ({ header, body }) => {
    // A request that isn't one can't be answered: it has no id. The worker ends, and stderr has the reason.
    const request = WorkerRequest.parse(header);
    try {
      await compute(ort, sessions, request, body);
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      writeReply({ type: 'failed', id: request.id, code: error.code, params: boundedParams(error) });
    }
  };
}

const endings = new Endings();
/** The stage whose cache is kept here. */
let opened: { layout: StageLayout; passes: CachedPasses } | null = null;

async function compute(ort: Ort, sessions: Sessions, request: WorkerRequest, body: Uint8Array): Promise<void> {
  const { id } = request;
  switch (request.type) {
    case 'load': {
      const startedAt = performance.now();
      const { inputs, outputs } = await sessions.load(request, request.entry, request.strict);
      const loadMs = performance.now() - startedAt;
      writeReply({ type: 'loaded', id, loadMs, inputs, outputs, residentBytes: residentBytes() });
      break;
    }
    case 'unload':
      await sessions.unload(request);
      writeReply({ type: 'unloaded', id });
      break;
    case 'run': {
      const { outputs, runMs } = await run(ort, sessions.get(request), request, body);
      writeReply({ type: 'result', id, runMs, tokensMade: 0, nearTies: 0, residentBytes: residentBytes() }, outputs);
      break;
    }
    case 'generate': {
      const session = sessions.get(request);
      const onToken = (token: number, index: number) => writeReply({ type: 'token', id, index, token });
      const { outputs, ...made } = await generate(ort, session, request, body, onToken, endings.of(id));
      writeReply({ type: 'result', id, ...made, residentBytes: residentBytes() }, outputs);
      break;
    }
    case 'open': {
      const session = sessions.get(request);
      const layout = readStage(session, request.decoder);
      opened = { layout, passes: new CachedPasses(ort, session, layout.caches, layout.gives, request.positions) };
      writeReply({ type: 'result', id, runMs: 0, tokensMade: 0, nearTies: 0, residentBytes: residentBytes() });
      break;
    }
    case 'step': {
      if (opened === null) throw new HearthlendError('WORKER_PROTOCOL', { detail: 'no stage is open' });
      const { outputs, runMs } = await step(ort, opened.layout, opened.passes, request, body);
      writeReply({ type: 'result', id, runMs, tokensMade: 0, nearTies: 0, residentBytes: residentBytes() }, outputs);
      break;
    }
    case 'force': {
      const { outputs, ...made } = await force(ort, sessions.get(request), request, body);
      writeReply({ type: 'result', id, tokensMade: 0, ...made, residentBytes: residentBytes() }, outputs);
      break;
    }
    case 'end':
  }
}

function residentBytes(): number {
  return process.memoryUsage.rss();
}

if (parentPort !== null) forwardStdin(parentPort);
else if (process.argv[2] !== undefined) await serve(process.argv[2]);
else throw new HearthlendError('WORKER_PROTOCOL', { detail: 'it was not told where its models are' });
