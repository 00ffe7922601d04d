import type { ServerResponse } from 'node:http';
import type { RequestLimits } from './limits.ts';

/** Server-sent events, one JSON object each. */
export interface EventStream {
  send(data: object): void;
  /** `done`: with the word by which OpenAI's clients know that nothing is missing. */
  end(done: boolean): void;
}

/** Begins the answer. A reader that is too slow, or doesn't read, is cut off: nobody keeps an endless answer for it. */
export function openStream(response: ServerResponse, { bufferedBytes, keepAliveMs, readMs }: RequestLimits): EventStream {
  response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8', 'Cache-Control': 'no-store', 'X-Accel-Buffering': 'no' });
  response.flushHeaders();
  const write = (text: string) => {
    response.write(text);
    if (response.writableLength > bufferedBytes) response.destroy();
  };
  // By the rules of the format a line that begins with a colon is no event.
  const alive = setInterval(() => write(': alive\n\n'), keepAliveMs);
  response.on('close', () => clearInterval(alive));
  return {
    send: (data) => write(`data: ${JSON.stringify(data)}\n\n`),
    end(done) {
      clearInterval(alive);
      if (done) write('data: [DONE]\n\n');
      endAnswer(response, readMs);
    },
  };
}

/** Ends an answer; who doesn't read it in time is cut off. */
function endAnswer(response: ServerResponse, readMs: number, body?: string): void {
  const timer = setTimeout(() => response.destroy(), readMs);
  response.on('close', () => clearTimeout(timer));
  response.end(body);
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  readMs: number,
  headers: Record<string, string> = {},
): void {
  const text = JSON.stringify(body);
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(text),
    'Cache-Control': 'no-store',
    ...headers,
  });
  endAnswer(response, readMs, text);
}
