import type { Socket } from 'node:net';

/**
 * Reads what comes over a socket piece by piece, however it was cut up on the way.
 * @param take the bytes that the first piece of what is there takes; null where it isn't whole yet. What it throws ends the connection
 * @param end told why the connection is over
 * @param gone what to say where the other side closes it
 */
export function readPieces(socket: Socket, take: (received: Buffer) => number | null, end: (why: string) => void, gone: string): void {
  let received: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    received = received.byteLength === 0 ? chunk : Buffer.concat([received, chunk]);
    try {
      for (let length = take(received); length !== null; length = take(received)) received = received.subarray(length);
    } catch (error) {
      end((error as Error).message);
    }
  });
  socket.once('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message));
  socket.once('close', () => end(gone));
}
