import type { Provider } from '../../core/contract/backends.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { SessionOptions } from '../../core/contract/shard.ts';
import { describeSession, type Session } from './session.ts';

/** Which session is meant. A model under other options, or on another device, is another one: they change a result's bits. */
export interface SessionName {
  model: string;
  session: SessionOptions;
  provider: Provider;
}

/** Loaded models by their session's name. How many there are is the agent's decision. */
export class LoadedSessions {
  readonly #loaded = new Map<string, Session>();

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

  /** One that is loaded already is given as it is. @throws MODEL_INVALID, MODEL_VALUE_UNSUPPORTED, and what `create` throws */
  protected async once(name: SessionName, create: () => Promise<Session['ort']>): Promise<Session> {
    const key = keyOf(name);
    const loaded = this.#loaded.get(key);
    if (loaded !== undefined) return loaded;
    const ort = await create();
    try {
      const session = describeSession(ort);
      this.#loaded.set(key, session);
      return session;
    } catch (error) {
      await ort.release();
      throw error;
    }
  }
}

function keyOf({ model, session, provider }: SessionName): string {
  return `${model} ${session.intraOpThreads} ${session.graphOptimization} ${provider.name} ${provider.deviceId}`;
}
