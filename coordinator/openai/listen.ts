import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HearthlendError } from '../../core/contract/errors.ts';
import { hostAllowed } from '../../core/contract/loopback-host.ts';
import type { RequestHandler } from './handler.ts';

const ADDRESS = '127.0.0.1';
const HEADER_BYTES = 16 << 10;
const HEADERS_MS = 10_000;
const REQUEST_MS = 60_000;
const IDLE_MS = 5000;
const GOODBYE_MS = 500;
/** Each is refused with a word as long as there are no more than these; what comes on top of them is closed without one. */
const CONNECTIONS = 12_000;
/** Connections that the system keeps waiting while others are taken. */
const BACKLOG = 4096;

export interface RequestServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Answers requests of programs on this machine. @param port 0: any free one @throws PORT_IN_USE */
export async function listenOnLoopback(handler: RequestHandler, port: number): Promise<RequestServer> {
  const server = createServer({
    maxHeaderSize: HEADER_BYTES,
    headersTimeout: HEADERS_MS,
    requestTimeout: REQUEST_MS,
    connectionsCheckingInterval: 1000,
    keepAliveTimeout: IDLE_MS,
  });
  server.maxConnections = CONNECTIONS;
  const bound = await new Promise<number>((resolve, reject) => {
    // Kept after binding: a connection that can't be accepted must not end the program.
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE' || cause.code === 'EACCES';
      reject(taken ? new HearthlendError('PORT_IN_USE', { port: String(port) }, { cause }) : cause);
    });
    server.listen({ host: ADDRESS, port, exclusive: true, backlog: BACKLOG }, () => resolve((server.address() as AddressInfo).port));
  });
  server.on('request', (request, response) => {
    // No page of a browser is meant to read this, so none is told that it may.
    response.setHeader('X-Content-Type-Options', 'nosniff');
    if (!hostAllowed(request.headers.host, bound)) handler.refuse(response, new HearthlendError('HOST_REFUSED'));
    else if (!handler.handle(request, response)) {
      const path = (request.url ?? '').split('?', 1)[0]?.slice(0, 200) ?? '';
      handler.refuse(response, new HearthlendError('REQUEST_NOT_FOUND', { method: request.method ?? '?', path }));
    }
  });
  return {
    port: bound,
    close: () =>
      new Promise((resolve) => {
        handler.close();
        server.close(() => resolve());
        server.closeIdleConnections();
        // What is refused now is heard by who listens.
        setTimeout(() => server.closeAllConnections(), GOODBYE_MS).unref();
      }),
  };
}
