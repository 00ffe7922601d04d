import type { Applied, ChangeName, Changes } from './store.ts';

/**
 * The order in which a coordinator's state changes. Two of them: `sqlite/direct.ts`, where a call is its own log, for one coordinator alone; and a
 * JetStream stream, which every coordinator of a network applies to a replica of its own.
 */
export interface ChangeLog {
  /** Resolves with what the change came to, once it is applied here and durable. Its arguments are not touched after the call. */
  append<N extends ChangeName>(name: N, args: Parameters<Changes[N]>): Promise<ReturnType<Changes[N]>>;
  onApplied(listener: (applied: Applied) => void): () => void;
  close(): Promise<void>;
}
