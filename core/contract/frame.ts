import { HearthlendError } from './errors.ts';

/**
 * The frames in which agent and native worker speak over stdin and stdout: u32 little-endian header length, u32 little-endian body length,
 * header (one JSON object in UTF-8), body (raw bytes, a safetensors blob or nothing).
 */
export interface Frame {
  header: unknown;
  body: Uint8Array;
}

export interface FrameLimits {
  headerBytes: number;
  bodyBytes: number;
}

const PREFIX_BYTES = 8;
const NO_BODY = new Uint8Array(0);

/** The bytes before the body. The body is written as it is, without a copy. @throws WORKER_PROTOCOL where a limit is passed. */
export function encodeFramePrefix(header: unknown, bodyBytes: number, limits: FrameLimits): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(header));
  if (json.byteLength > limits.headerBytes || bodyBytes > limits.bodyBytes) {
    throw new HearthlendError('WORKER_PROTOCOL', { detail: `a frame of ${json.byteLength} + ${bodyBytes} bytes is over the limit` });
  }
  const prefix = new Uint8Array(PREFIX_BYTES + json.byteLength);
  const view = new DataView(prefix.buffer);
  view.setUint32(0, json.byteLength, true);
  view.setUint32(4, bodyBytes, true);
  prefix.set(json, PREFIX_BYTES);
  return prefix;
}

/**
 * Takes bytes as they come and gives whole frames. A length over its limit is refused before anything is allocated for it, and the body is
 * collected into one buffer of exactly the announced size. After an error the stream is useless and the worker is to be killed.
 */
export class FrameDecoder {
  readonly #limits: FrameLimits;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** @throws WORKER_PROTOCOL for an oversize or malformed frame. */
  push(chunk: Uint8Array): Frame[] {
    if (chunk.byteLength > 0) {
      this.#pending.push(chunk);
      this.#pendingBytes += chunk.byteLength;
    }
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  /** Bytes held for a frame that is not whole yet. */
  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  #next(): Frame | undefined {
    if (this.#pendingBytes < PREFIX_BYTES) return undefined;
    const prefix = this.#peek(PREFIX_BYTES);
    const view = new DataView(prefix.buffer, prefix.byteOffset, prefix.byteLength);
    const headerBytes = view.getUint32(0, true);
    const bodyBytes = view.getUint32(4, true);
    if (headerBytes > this.#limits.headerBytes || bodyBytes > this.#limits.bodyBytes) {
      throw new HearthlendError('WORKER_PROTOCOL', {
        detail: `it announced a frame of ${headerBytes} + ${bodyBytes} bytes, over the limit`,
      });
    }
    if (this.#pendingBytes < PREFIX_BYTES + headerBytes + bodyBytes) return undefined;
    this.#take(PREFIX_BYTES);
    const json = this.#take(headerBytes);
    const body = bodyBytes === 0 ? NO_BODY : this.#take(bodyBytes);
    try {
      return { header: JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json)) as unknown, body };
    } catch (cause) {
      throw new HearthlendError('WORKER_PROTOCOL', { detail: 'a frame header is not JSON' }, { cause });
    }
  }

  #peek(bytes: number): Uint8Array {
    const first = this.#pending[0];
    if (first !== undefined && first.byteLength >= bytes) return first.subarray(0, bytes);
    const out = this.#take(bytes);
    this.#pending.unshift(out);
    this.#pendingBytes += bytes;
    return out;
  }

  #take(bytes: number): Uint8Array {
    const first = this.#pending[0];
    if (first !== undefined && first.byteLength === bytes) {
      this.#pending.shift();
      this.#pendingBytes -= bytes;
      return first;
    }
    const out = new Uint8Array(bytes);
    let filled = 0;
    while (filled < bytes) {
      const chunk = this.#pending[0] as Uint8Array;
      const part = chunk.subarray(0, bytes - filled);
      out.set(part, filled);
      filled += part.byteLength;
      if (part.byteLength === chunk.byteLength) this.#pending.shift();
      else this.#pending[0] = chunk.subarray(part.byteLength);
    }
    this.#pendingBytes -= bytes;
    return out;
  }
}
