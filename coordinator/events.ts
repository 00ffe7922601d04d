import { asHearthlendError } from '../core/contract/errors.ts';
import type { Log } from './log.ts';

/** Listeners to one kind of event. One that throws is noted and doesn't keep the others from hearing. */
export interface Listeners<E> {
  add(listener: (event: E) => void): () => void;
  emit(event: E): void;
}

export function createListeners<E>(log: Log): Listeners<E> {
  const listeners = new Set<(event: E) => void>();
  return {
    add(listener) {
      const own = (event: E) => listener(event);
      listeners.add(own);
      return () => {
        listeners.delete(own);
      };
    },
    emit(event) {
      for (const listener of [...listeners]) {
        try {
          listener(event);
        } catch (thrown) {
          log('error', 'listener-failed', { detail: asHearthlendError(thrown).message });
        }
      }
    },
  };
}
