import { Socket } from 'node:net';
import { type MessagePort, Worker } from 'node:worker_threads';
import { type Frame, FrameDecoder } from '../../core/contract/frame.ts';
import { WORKER_FRAME_LIMITS } from '../../core/contract/worker-messages.ts';

/** What the reading thread tells the main one: a frame, or that stdin is at its end. */
export type StdinMessage = Frame | 'end';

/** How long the main thread has to leave by itself when stdin ends. It can't while a model runs. */
const LEAVE_MS = 200;

/** Smaller bodies are cheaper to copy between threads than to move, and may share their buffer with the next frame. */
const MOVED_BODY_BYTES = 1 << 16;

/**
 * Reads stdin on a thread of its own, which is this same script again: `session.run` blocks the main thread, and an agent that died must be
 * noticed in the middle of it.
 */
export function readStdin(script: string, onMessage: (message: StdinMessage) => void): void {
  const thread = new Worker(script, { stdin: false });
  thread.on('message', onMessage);
  thread.on('error', (error) => {
    throw error;
  });
}

/** The reading thread: forwards frames; when stdin ends, ends the process, by force where the main thread doesn't leave in time. */
export function forwardStdin(port: MessagePort): void {
  const decoder = new FrameDecoder(WORKER_FRAME_LIMITS);
  const stdin = new Socket({ fd: 0, readable: true, writable: false });
  stdin.on('data', (chunk) => {
    for (const { header, body } of decoder.push(chunk)) {
      const moved = body.byteLength > MOVED_BODY_BYTES && body.byteLength === body.buffer.byteLength;
      port.postMessage({ header, body }, moved ? [body.buffer as ArrayBuffer] : []);
    }
  });
  const end = () => {
    port.postMessage('end' satisfies StdinMessage);
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), LEAVE_MS);
  };
  stdin.once('end', end);
  stdin.once('error', end);
}
