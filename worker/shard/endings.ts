import { WorkerRequest } from '../../core/contract/worker-messages.ts';

/** Generations that are to end at their next token. They are told of ahead of their turn, so that one may be over before it begins. */
export class Endings {
  readonly #ids = new Set<number>();

  /** True where a message says only that, and is taken care of. */
  take(header: unknown): boolean {
    if ((header as { type?: unknown } | null)?.type !== 'end') return false;
    this.#ids.add(WorkerRequest.parse(header).id);
    return true;
  }

  /** A generation begins. Gives whether it is to end. Ids grow, so those before it are answered. */
  of(id: number): () => boolean {
    for (const each of this.#ids) if (each < id) this.#ids.delete(each);
    return () => this.#ids.has(id);
  }
}
