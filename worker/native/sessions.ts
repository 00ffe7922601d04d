import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { type BackendName, CPU } from '../../core/contract/backends.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { SessionOptions } from '../../core/contract/shard.ts';
import { failureOf } from '../shard/failure.ts';
import type { Session } from '../shard/session.ts';
import { LoadedSessions, type SessionName } from '../shard/sessions.ts';
import { findUnnamedType, type Ort } from './onnxruntime.ts';

/** Providers that take the number of a device. The binding refuses it for WebGPU, as an option that it doesn't know. */
const NUMBERED = new Set<BackendName>(['cuda', 'dml']);

/** The models that lie below one folder. */
export class Sessions extends LoadedSessions {
  readonly #ort: Ort;
  readonly #modelsDir: string;

  constructor(ort: Ort, modelsDir: string) {
    super();
    this.#ort = ort;
    this.#modelsDir = modelsDir;
  }

  /**
   * Loads `<models>/<digest>/<entry>`; one that is loaded already is given as it is.
   * @throws MODEL_INVALID, MODEL_VALUE_UNSUPPORTED; BACKEND_REFUSED where another provider than the CPU doesn't load it, whatever the reason
   */
  load(name: SessionName, entry: string, strict: boolean): Promise<Session> {
    const file = join(this.#modelsDir, name.model, entry);
    return this.once(name, () => (name.provider.name === CPU.name ? this.#onCpu(file, name.session) : this.#onDevice(file, name, strict)));
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
