import type { Readable, Writable } from 'node:stream';
import { z } from 'zod';

/** Largest message that a browser may send: a page's pieces are far smaller, and what passes this is no answer of its. */
const MESSAGE_BYTES = 64 * 2 ** 20;

const Message = z.looseObject({
  id: z.int().optional(),
  method: z.string().optional(),
  params: z.record(z.string(), z.unknown()).optional(),
  result: z.record(z.string(), z.unknown()).optional(),
  error: z.looseObject({ message: z.string() }).optional(),
  sessionId: z.string().optional(),
});

/** What a browser tells of its own accord. `session` is the page's, undefined where it is of the browser itself. */
export interface BrowserEvent {
  method: string;
  params: Record<string, unknown>;
  session: string | undefined;
}

type Answer = Record<string, unknown>;

/** The Chrome DevTools Protocol over a pipe: JSON messages that end with a zero byte. Nobody but who holds the pipe's ends can speak on it. */
export class DevToolsPipe {
  readonly #out: Writable;
  readonly #onEvent: (event: BrowserEvent) => void;
  readonly #waiting = new Map<number, { resolve: (result: Answer) => void; reject: (error: Error) => void; method: string }>();
  #pieces: Buffer[] = [];
  #pieceBytes = 0;
  #sent = 0;
  #closed = false;

  /** @param onBroken called once when what comes is no message: the browser is to be killed then */
  constructor(out: Writable, incoming: Readable, onEvent: (event: BrowserEvent) => void, onBroken: (detail: string) => void) {
    this.#out = out;
    this.#onEvent = onEvent;
    out.on('error', () => out.destroy());
    incoming.on('error', () => incoming.destroy());
    incoming.on('data', (chunk: Buffer) => {
      if (this.#closed) return;
      try {
        this.#take(chunk);
      } catch (error) {
        this.close();
        onBroken(error instanceof Error ? error.message : String(error));
      }
    });
    incoming.once('close', () => this.close());
  }

  /** Asks something, of the browser or of one of its pages. @throws what the browser says against it, or that it is gone */
  send(method: string, params: Record<string, unknown> = {}, session?: string): Promise<Answer> {
    if (this.#closed) return Promise.reject(new Error('the browser is gone'));
    this.#sent += 1;
    const id = this.#sent;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    this.#waiting.set(id, { resolve, reject, method });
    this.#out.write(`${JSON.stringify({ id, method, params, ...(session === undefined ? {} : { sessionId: session }) })}\0`);
    return promise;
  }

  /** Whatever is still waited for fails. */
  close(): void {
    this.#closed = true;
    this.#pieces = [];
    for (const { reject } of this.#waiting.values()) reject(new Error('the browser is gone'));
    this.#waiting.clear();
  }

  #take(chunk: Buffer): void {
    for (let from = 0; ; ) {
      const end = chunk.indexOf(0, from);
      const piece = chunk.subarray(from, end < 0 ? chunk.length : end);
      this.#pieces.push(piece);
      this.#pieceBytes += piece.byteLength;
      if (this.#pieceBytes > MESSAGE_BYTES) throw new Error('the browser sent a message over the limit');
      if (end < 0) return;
      const text = Buffer.concat(this.#pieces).toString('utf8');
      this.#pieces = [];
      this.#pieceBytes = 0;
      from = end + 1;
      this.#received(Message.parse(JSON.parse(text)));
      if (this.#closed) return;
    }
  }

  #received({ id, method, params, result, error, sessionId }: z.infer<typeof Message>): void {
    if (id === undefined) {
      if (method !== undefined) this.#onEvent({ method, params: params ?? {}, session: sessionId });
      return;
    }
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(result ?? {});
    else waiting?.reject(new Error(`${waiting.method}: ${error.message}`));
  }
}
