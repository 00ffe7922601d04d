import { writeSync } from 'node:fs';
import { encodeFramePrefix } from '../../core/contract/frame.ts';
import { WORKER_FRAME_LIMITS, type WorkerReply } from '../../core/contract/worker-messages.ts';

const RETRY_MS = 1;
/** Up to this a body leaves with what comes before it, which wakes the reader once instead of twice. */
const TOGETHER_BYTES = 1 << 16;
const pause = new Int32Array(new SharedArrayBuffer(4));

/**
 * Keeps descriptor 1 for replies: whatever else writes to `process.stdout`, `console` among it, goes to stderr. ONNX Runtime's own log goes
 * there anyway.
 */
export function reserveStdout(): void {
  Object.defineProperty(process, 'stdout', { configurable: false, get: () => process.stderr });
}

/**
 * Writes a reply, whole, before it returns: a model's run blocks the event loop, and tokens must leave as they are made.
 * @throws WORKER_PROTOCOL where the reply is over the frame's limits, with nothing written
 */
export function writeReply(reply: WorkerReply, body?: Uint8Array): void {
  const prefix = encodeFramePrefix(reply, body?.byteLength ?? 0, WORKER_FRAME_LIMITS);
  if (body === undefined || body.byteLength > TOGETHER_BYTES) {
    writeAll(prefix);
    if (body !== undefined) writeAll(body);
  } else writeAll(Buffer.concat([prefix, body]));
}

function writeAll(bytes: Uint8Array): void {
  let written = 0;
  while (written < bytes.byteLength) {
    try {
      written += writeSync(1, bytes, written);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Nobody reads any more: the agent is gone, and so is the reason to live.
      if (code === 'EPIPE') process.exit(0);
      if (code !== 'EAGAIN') throw error;
      // A pipe that doesn't block is full. There is nothing else to do meanwhile.
      Atomics.wait(pause, 0, 0, RETRY_MS);
    }
  }
}
