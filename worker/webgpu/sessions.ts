import type { InferenceSession } from 'onnxruntime-web/jspi';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { GivenFile } from '../../core/contract/gpu-window.ts';
import type { WorkerRequest } from '../../core/contract/worker-messages.ts';
import { failureOf } from '../shard/failure.ts';
import type { Session } from '../shard/session.ts';
import { LoadedSessions } from '../shard/sessions.ts';
import type { Ort } from './onnxruntime.ts';

type LoadRequest = Extract<WorkerRequest, { type: 'load' }>;

/** Layers of a decoder, at most: DecoderConfig's bound. */
const MAX_LAYERS = 1024;

/**
 * Where outputs are left: a decoder's cache on the GPU, for the next pass to take from there. Which outputs a graph has is known only once it is
 * loaded, and this has to be said before; names that it doesn't have are passed over.
 */
const CACHE_ON_GPU = Object.fromEntries(
  Array.from({ length: MAX_LAYERS }, (_, layer) =>
    ['key', 'value'].map((part) => [`present.${layer}.${part}`, 'gpu-buffer' as const]),
  ).flat(),
);

/** The models whose bytes came over the port. */
export class Sessions extends LoadedSessions {
  readonly #ort: Ort;

  constructor(ort: Ort) {
    super();
    this.#ort = ort;
  }

  /** Loads a model of which all files are given. @throws MODEL_INVALID, MODEL_VALUE_UNSUPPORTED; BACKEND_REFUSED where the GPU doesn't load it */
  load(request: LoadRequest, files: GivenFile[]): Promise<Session> {
    return this.once(request, async () => (await this.#create(request, files)) as Session['ort']);
  }

  async #create({ entry, session, provider, strict }: LoadRequest, files: GivenFile[]): Promise<InferenceSession> {
    const graph = files.find(({ path }) => path === entry);
    if (graph === undefined) throw new HearthlendError('MODEL_INVALID', { detail: `its file ${entry} is not there` });
    // A graph names its external data by where it lies beside it.
    const folder = entry.slice(0, entry.lastIndexOf('/') + 1);
    const beside = files.filter(({ path }) => path !== entry && path.startsWith(folder));
    const onGpu = provider.name === 'webgpu';
    try {
      return await this.#ort.InferenceSession.create(new Uint8Array(graph.bytes), {
        executionProviders: [onGpu ? 'webgpu' : 'wasm'],
        graphOptimizationLevel: session.graphOptimization,
        externalData: beside.map(({ path, bytes }) => ({ path: path.slice(folder.length), data: new Uint8Array(bytes) })),
        ...(onGpu ? { preferredOutputLocation: CACHE_ON_GPU } : {}),
        ...(strict ? { extra: { session: { disable_cpu_ep_fallback: '1' } } } : {}),
      });
    } catch (thrown) {
      if (!onGpu) throw failureOf(thrown, 'MODEL_INVALID');
      const detail = thrown instanceof Error ? thrown.message : String(thrown);
      throw new HearthlendError('BACKEND_REFUSED', { backend: provider.name, detail }, { cause: thrown });
    }
  }
}
