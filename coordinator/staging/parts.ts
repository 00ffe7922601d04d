import { HearthlendError } from '../../core/contract/errors.ts';
import type { Part } from '../others.ts';

/** What is collected at once, of all attempts. */
const MOST_BYTES = 256 * 2 ** 20;

interface Collected {
  step: number;
  of: number;
  pieces: Uint8Array[];
}

/** Outputs that are too large for one message, put together as their parts come, in order. No I/O. */
export class Parts {
  readonly #byAttempt = new Map<string, Collected>();
  readonly #mostBytes: number;
  #bytes = 0;

  constructor(mostBytes = MOST_BYTES) {
    this.#mostBytes = mostBytes;
  }

  /**
   * Gives the whole with its last part; null while there is more to come. The first part begins anew.
   * @throws NETWORK_BUSY where one before it was told to somebody else, or too much is collected already: from the first on they may be sent again
   */
  add(attempt: string, step: number, { index, of }: Part, bytes: Uint8Array): Uint8Array | null {
    if (index === 0) this.drop(attempt);
    const collected = this.#byAttempt.get(attempt) ?? { step, of, pieces: [] };
    const follows = collected.step === step && collected.of === of && collected.pieces.length === index && index < of;
    if (!follows || this.#bytes + bytes.byteLength > this.#mostBytes) {
      this.drop(attempt);
      throw new HearthlendError('NETWORK_BUSY');
    }
    // A copy: what it came in holds more.
    collected.pieces.push(Uint8Array.from(bytes));
    this.#byAttempt.set(attempt, collected);
    this.#bytes += bytes.byteLength;
    if (index + 1 < of) return null;
    this.drop(attempt);
    return Buffer.concat(collected.pieces);
  }

  drop(attempt: string): void {
    for (const { byteLength } of this.#byAttempt.get(attempt)?.pieces ?? []) this.#bytes -= byteLength;
    this.#byAttempt.delete(attempt);
  }
}
