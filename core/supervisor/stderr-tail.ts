const KEPT_BYTES = 16 * 1024;

/** The last 16 KiB of what a worker wrote to stderr. However much it writes, no more is kept. */
export class StderrTail {
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  push(chunk: Uint8Array): void {
    const kept = chunk.subarray(-KEPT_BYTES);
    this.#chunks.push(kept);
    this.#bytes += kept.byteLength;
    // Now and then one piece instead of many small ones, each of which may hold on to a larger buffer.
    if (this.#bytes > 2 * KEPT_BYTES || this.#chunks.length > 64) this.#compact();
  }

  text(): string {
    this.#compact();
    return new TextDecoder().decode(this.#chunks[0] ?? new Uint8Array(0));
  }

  #compact(): void {
    const all = Buffer.concat(this.#chunks).subarray(-KEPT_BYTES);
    this.#chunks = [new Uint8Array(all)];
    this.#bytes = all.byteLength;
  }
}
