import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { PageMessage, PageWord } from '../../core/contract/gpu-window.ts';
import { WorkerRequest } from '../../core/contract/worker-messages.ts';
import { Endings } from '../shard/endings.ts';
import { boundedParams } from '../shard/failure.ts';
import { force } from '../shard/force.ts';
import { generate } from '../shard/generate.ts';
import { run } from '../shard/run.ts';
import type { Session, Ort as SharedOrt } from '../shard/session.ts';
import { findAdapter } from './adapter.ts';
import { sendReply } from './frames.ts';
import { GpuPasses } from './gpu-passes.ts';
import { loadOnnxRuntime, type Ort } from './onnxruntime.ts';
import { Parts } from './parts.ts';
import { Sessions } from './sessions.ts';

const endings = new Endings();

/** The GPU window's page: computes shards and does nothing else. It is handed one port, and all that it works on comes over that. */
function serve(port: MessagePort): void {
  const say = (word: PageWord) => port.postMessage(word);
  let answer: ((message: Extract<PageMessage, { kind: 'request' }>) => Promise<void>) | undefined;
  let previous: Promise<unknown> = Promise.resolve();
  const parts = new Parts();
  port.onmessage = ({ data }: MessageEvent<PageMessage>) => {
    if (data.kind === 'request' && endings.take(data.request)) return;
    previous = previous
      .then(async () => {
        if (data.kind === 'part') parts.add(data.path, data.bytes);
        else if (data.kind === 'start') answer = await start(port, data.wasm ?? parts.body() ?? new ArrayBuffer(0), say);
        else await answer?.({ ...data, body: data.body ?? parts.body(), files: [...data.files, ...parts.files()] });
      })
      .catch((error) => say({ kind: 'failed', detail: String(error).slice(0, 2000) }));
  };
}

async function start(port: MessagePort, wasm: ArrayBuffer, say: (word: PageWord) => void) {
  say({ kind: 'adapter', adapter: await findAdapter() });
  const ort = await loadOnnxRuntime(wasm);
  const sessions = new Sessions(ort);
  sendReply(port, { type: 'ready', onnxruntime: ort.env.versions.web ?? 'unknown', node: null });
  return async ({ request: given, body, files }: Extract<PageMessage, { kind: 'request' }>) => {
    const request = WorkerRequest.parse(given);
    try {
      if (request.type === 'load') {
        const startedAt = performance.now();
        const { inputs, outputs } = await sessions.load(request, files);
        sendReply(port, { type: 'loaded', id: request.id, loadMs: performance.now() - startedAt, inputs, outputs, residentBytes: null });
      } else await compute(port, ort, sessions, request, new Uint8Array(body ?? new ArrayBuffer(0)));
    } catch (thrown) {
      const error = asHearthlendError(thrown);
      sendReply(port, { type: 'failed', id: request.id, code: error.code, params: boundedParams(error) });
    }
  };
}

async function compute(
  port: MessagePort,
  ort: Ort,
  sessions: Sessions,
  request: Exclude<WorkerRequest, { type: 'load' }>,
  body: Uint8Array,
) {
  const { id } = request;
  // Both packages give the same runtime of tensors and sessions; only their types come from different places.
  const shared = ort as unknown as SharedOrt;
  switch (request.type) {
    case 'unload':
      await sessions.unload(request);
      sendReply(port, { type: 'unloaded', id });
      break;
    case 'run': {
      const { outputs, runMs } = await run(shared, withOutputs(sessions.get(request)), request, body);
      sendReply(port, { type: 'result', id, runMs, tokensMade: 0, nearTies: 0, residentBytes: null }, outputs);
      break;
    }
    case 'generate': {
      const session = sessions.get(request);
      const onToken = (token: number, index: number) => sendReply(port, { type: 'token', id, index, token });
      let passes: GpuPasses | undefined;
      try {
        const { outputs, ...made } = await generate(
          session,
          (layout) => (passes = new GpuPasses(shared, session, layout)),
          request,
          body,
          onToken,
          endings.of(id),
        );
        sendReply(port, { type: 'result', id, ...made, residentBytes: null }, outputs);
      } finally {
        passes?.close();
      }
      break;
    }
    case 'open':
    case 'step':
      throw new HearthlendError('BACKEND_REFUSED', { backend: 'webgpu', detail: 'a page keeps no cache between two requests' });
    case 'force': {
      const { outputs, ...made } = await force(shared, withOutputs(sessions.get(request)), request, body);
      sendReply(port, { type: 'result', id, tokensMade: 0, ...made, residentBytes: null }, outputs);
      break;
    }
    case 'end':
  }
}

/** The session with outputs that are read back wherever they were left. */
function withOutputs(session: Session): Session {
  const run = async (feeds: never, fetches: never) => {
    const results = await session.ort.run(feeds, fetches);
    for (const value of Object.values(results)) if (value.location !== 'cpu') await value.getData(true);
    return results;
  };
  return { ...session, ort: { run } as unknown as Session['ort'] };
}

addEventListener('message', function handOver({ ports: [port] }: MessageEvent) {
  if (port === undefined) return;
  removeEventListener('message', handOver);
  serve(port);
});
