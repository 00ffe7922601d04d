import { type FileHandle, open } from 'node:fs/promises';
import { shareCalls } from '../../core/contract/sharing.ts';

/**
 * Makes what was committed to a database in WAL mode durable, off the main thread: the commits themselves then need no wait for the disk
 * (`synchronous = NORMAL`), and all that were made meanwhile share the next wait. Frames of the log carry checksums and are read in order, so
 * a power cut takes the end of what was not synced, and nothing else. Source: sqlite.org/wal.html, `PRAGMA synchronous`.
 */
export class LogSync {
  readonly #path: string;
  #file: Promise<FileHandle> | undefined;
  readonly #shared = shareCalls(() => this.#sync());
  #last: Promise<void> | undefined;

  /** @param databasePath whose log is meant; it is there once anything was written */
  constructor(databasePath: string) {
    this.#path = `${databasePath}-wal`;
  }

  /** Resolves when everything that was committed before this call is on the disk. Rejects with the system's error. */
  sync(): Promise<void> {
    this.#last = this.#shared();
    return this.#last;
  }

  /** Lets go of the log, after what is under way. Never rejects: there is nothing left to lose. */
  async close(): Promise<void> {
    await this.#last?.catch(() => undefined);
    const file = await this.#file?.catch(() => undefined);
    await file?.close().catch(() => undefined);
    this.#file = undefined;
  }

  async #sync(): Promise<void> {
    this.#file ??= open(this.#path, 'r+');
    try {
      await (await this.#file).datasync();
    } catch (error) {
      this.#file = undefined;
      throw error;
    }
  }
}
