import { encodeFramePrefix } from '../../core/contract/frame.ts';
import { PIECE_BYTES } from '../../core/contract/gpu-window.ts';
import { WORKER_FRAME_LIMITS, type WorkerReply } from '../../core/contract/worker-messages.ts';

/** Sends a reply: the same frame that the native worker writes to its stdout, in pieces. */
export function sendReply(port: MessagePort, reply: WorkerReply, body: Uint8Array = new Uint8Array(0)): void {
  const prefix = encodeFramePrefix(reply, body.byteLength, WORKER_FRAME_LIMITS);
  port.postMessage(prefix, [prefix.buffer as ArrayBuffer]);
  for (let at = 0; at < body.byteLength; at += PIECE_BYTES) {
    const piece = body.slice(at, at + PIECE_BYTES);
    port.postMessage(piece, [piece.buffer as ArrayBuffer]);
  }
}
