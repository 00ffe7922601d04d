import { join } from 'node:path';
import type { InferenceSession } from 'onnxruntime-node';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { SessionOptions } from '../../core/contract/shard.ts';
import { failureOf } from '../shard/failure.ts';
import { describeSession, type Session, sessionKey } from '../shard/session.ts';
import { findUnnamedType, type Ort } from './onnxruntime.ts';

/** Loaded models by digest and session options, which change a result's bits. How many there are is the agent's decision. */
export class Sessions {
  readonly #ort: Ort;
  readonly #modelsDir: string;
  readonly #loaded = new Map<string, Session>();

  constructor(ort: Ort, modelsDir: string) {
    this.#ort = ort;
    this.#modelsDir = modelsDir;
  }

  /** Loads `<models>/<digest>/<entry>`; one that is loaded already is given as it is. @throws MODEL_INVALID, MODEL_VALUE_UNSUPPORTED */
  async load(model: string, entry: string, options: SessionOptions): Promise<Session> {
    const key = sessionKey(model, options);
    const loaded = this.#loaded.get(key);
    if (loaded !== undefined) return loaded;
    const file = join(this.#modelsDir, model, entry);
    const ort = await this.#create(file, options);
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
  get(model: string, options: SessionOptions): Session {
    const session = this.#loaded.get(sessionKey(model, options));
    if (session === undefined) throw new HearthlendError('WORKER_PROTOCOL', { detail: `the model ${model} is not loaded` });
    return session;
  }

  async unload(model: string, options: SessionOptions): Promise<void> {
    const key = sessionKey(model, options);
    const session = this.#loaded.get(key);
    this.#loaded.delete(key);
    await session?.ort.release();
  }

  async #create(file: string, options: SessionOptions): Promise<InferenceSession> {
    try {
      return await this.#ort.InferenceSession.create(file, {
        executionProviders: ['cpu'],
        executionMode: 'sequential',
        interOpNumThreads: 1,
        intraOpNumThreads: options.intraOpThreads,
        graphOptimizationLevel: options.graphOptimization,
      });
    } catch (thrown) {
      if (thrown instanceof Error && thrown.message.startsWith('Unsupported data type')) {
        const value = await findUnnamedType(file).catch(() => undefined);
        if (value !== undefined) throw new HearthlendError('MODEL_VALUE_UNSUPPORTED', { ...value }, { cause: thrown });
      }
      throw failureOf(thrown, 'MODEL_INVALID');
    }
  }
}
