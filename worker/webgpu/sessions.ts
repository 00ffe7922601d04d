import type { InferenceSession } from 'onnxruntime-web/jspi';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { GivenFile } from '../../core/contract/gpu-window.ts';
import type { WorkerRequest } from '../../core/contract/worker-messages.ts';
import { failureOf } from '../shard/failure.ts';
import { describeSession, type Session, sessionKey } from '../shard/session.ts';
import type { Ort } from './onnxruntime.ts';

type LoadRequest = Extract<WorkerRequest, { type: 'load' }>;
type SessionName = Pick<LoadRequest, 'model' | 'session' | 'provider'>;

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

/** Loaded models by their session's name. How many there are is the agent's decision. */
export class Sessions {
  readonly #ort: Ort;
  readonly #loaded = new Map<string, Session>();

  constructor(ort: Ort) {
    this.#ort = ort;
  }

  /** Loads a model of which all files are given. @throws MODEL_INVALID, MODEL_VALUE_UNSUPPORTED; BACKEND_REFUSED where the GPU doesn't load it */
  async load(request: LoadRequest, files: GivenFile[]): Promise<Session> {
    const key = keyOf(request);
    const loaded = this.#loaded.get(key);
    if (loaded !== undefined) return loaded;
    const ort = await this.#create(request, files);
    try {
      const session = describeSession(ort as Session['ort']);
      this.#loaded.set(key, session);
      return session;
    } catch (error) {
      await ort.release();
      throw error;
    }
  }

  /** @throws WORKER_PROTOCOL where the agent did not load it first. */
  get(name: SessionName): Session {
    const session = this.#loaded.get(keyOf(name));
    if (session === undefined) throw new HearthlendError('WORKER_PROTOCOL', { detail: `the model ${name.model} is not loaded` });
    return session;
  }

  async unload(name: SessionName): Promise<void> {
    const key = keyOf(name);
    const session = this.#loaded.get(key);
    this.#loaded.delete(key);
    await session?.ort.release();
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

function keyOf({ model, session, provider }: SessionName): string {
  return `${sessionKey(model, session)} ${provider.name} ${provider.deviceId}`;
}
