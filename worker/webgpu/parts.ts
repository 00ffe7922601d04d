import type { GivenFile } from '../../core/contract/gpu-window.ts';

/** Files that come in parts, until the message that needs them. */
export class Parts {
  #parts = new Map<string, ArrayBuffer[]>();

  add(path: string, bytes: ArrayBuffer): void {
    const parts = this.#parts.get(path) ?? [];
    parts.push(bytes);
    this.#parts.set(path, parts);
  }

  /** What came without a path, which is forgotten; null where nothing did. */
  body(): ArrayBuffer | null {
    const parts = this.#parts.get('');
    this.#parts.delete('');
    return parts === undefined ? null : joined(parts);
  }

  /** What came with one, which is forgotten. */
  files(): GivenFile[] {
    const files = [...this.#parts].map(([path, parts]) => ({ path, bytes: joined(parts) }));
    this.#parts = new Map();
    return files;
  }
}

function joined(parts: readonly ArrayBuffer[]): ArrayBuffer {
  const whole = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(new Uint8Array(part), at);
    at += part.byteLength;
  }
  return whole.buffer;
}
