import type { AnyEvent } from '../contract/rpc.ts';
import type { Snapshot } from '../contract/snapshot.ts';

/** How long changes are gathered before those who watch are told: well under what an eye sees as late, well over a shard's rate. */
const GATHER_MS = 100;

type Field = Exclude<keyof Snapshot, 'version' | 'startedAt'>;

/**
 * The snapshot that screens ask for once, and the events after it. Each field has one source, read when something about it changed and
 * somebody watches.
 */
export class Screen {
  readonly #read: { [F in keyof Snapshot]: () => Snapshot[F] };
  readonly #listeners = new Set<(event: AnyEvent) => void>();
  #dirty = new Set<Field>();
  #timer: NodeJS.Timeout | undefined;

  constructor(read: { [F in keyof Snapshot]: () => Snapshot[F] }) {
    this.#read = read;
  }

  snapshot(): Snapshot {
    return Object.fromEntries(Object.entries(this.#read).map(([field, read]) => [field, read()])) as Snapshot;
  }

  listen(listener: (event: AnyEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: AnyEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  /** These fields may have changed: their new values go out together, soon. */
  touch(...fields: Field[]): void {
    for (const field of fields) this.#dirty.add(field);
    if (this.#listeners.size === 0) {
      this.#dirty.clear();
      return;
    }
    this.#timer ??= setTimeout(() => this.flush(), GATHER_MS);
  }

  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#dirty.size === 0) return;
    const fields = [...this.#dirty];
    this.#dirty = new Set();
    this.emit({ event: 'changed', data: Object.fromEntries(fields.map((field) => [field, this.#read[field]()])) });
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#listeners.clear();
  }
}
