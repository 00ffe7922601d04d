import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { type BackendName, CPU, type Provider } from '../../core/contract/backends.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { SessionOptions } from '../../core/contract/shard.ts';
import { failureOf } from '../shard/failure.ts';
import { describeSession, type Session, sessionKey } from '../shard/session.ts';
import { findUnnamedType, type Ort } from './onnxruntime.ts';

/** Which session is meant. Options and provider change a result's bits. */
interface SessionName {
  model: string;
  session: SessionOptions;
  provider: Provider;
}

/** Providers that take the number of a device. The binding refuses it for WebGPU, as an option that it doesn't know. */
const NUMBERED = new Set<BackendName>(['cuda', 'dml']);

/** Loaded models by their session's name. How many there are is the agent's decision. */
export class Sessions {
  readonly #ort: Ort;
  readonly #modelsDir: string;
  readonly #loaded = new Map<string, Session>();

  constructor(ort: Ort, modelsDir: string) {
    this.#ort = ort;
    this.#modelsDir = modelsDir;
  }

  /**
   * Loads `<models>/<digest>/<entry>`; one that is loaded already is given as it is.
   * @throws MODEL_INVALID, MODEL_VALUE_UNSUPPORTED; BACKEND_REFUSED where another provider than the CPU doesn't load it, whatever the reason
   */
  async load(name: SessionName, entry: string, strict: boolean): Promise<Session> {
    const key = keyOf(name);
    const loaded = this.#loaded.get(key);
    if (loaded !== undefined) return loaded;
    const file = join(this.#modelsDir, name.model, entry);
    const ort = await (name.provider.name === CPU.name ? this.#onCpu(file, name.session) : this.#onDevice(file, name, strict));
    try {
      const session = describeSession(ort);
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

  async #onCpu(file: string, options: SessionOptions): Promise<InferenceSession> {
    try {
      return await this.#ort.InferenceSession.create(file, { executionProviders: ['cpu'], ...common(options) });
    } catch (thrown) {
      if (thrown instanceof Error && thrown.message.startsWith('Unsupported data type')) {
        const value = await findUnnamedType(file).catch(() => undefined);
        if (value !== undefined) throw new HearthlendError('MODEL_VALUE_UNSUPPORTED', { ...value }, { cause: thrown });
      }
      throw failureOf(thrown, 'MODEL_INVALID');
    }
  }

  /** One provider is named and no more: a second one would be taken without a word where the first can't be made. */
  async #onDevice(file: string, { session, provider }: SessionName, strict: boolean): Promise<InferenceSession> {
    const { name, deviceId } = provider;
    try {
      return await this.#ort.InferenceSession.create(file, {
        executionProviders: [NUMBERED.has(name) ? { name, deviceId } : { name }],
        ...common(session),
        ...(strict ? { extra: { session: { disable_cpu_ep_fallback: '1' } } } : {}),
      });
    } catch (thrown) {
      const detail = thrown instanceof Error ? thrown.message : String(thrown);
      throw new HearthlendError('BACKEND_REFUSED', { backend: name, detail }, { cause: thrown });
    }
  }
}

function common(options: SessionOptions) {
  return {
    executionMode: 'sequential',
    interOpNumThreads: 1,
    intraOpNumThreads: options.intraOpThreads,
    graphOptimizationLevel: options.graphOptimization,
  } as const;
}

function keyOf({ model, session, provider }: SessionName): string {
  return `${sessionKey(model, session)} ${provider.name} ${provider.deviceId}`;
}
