import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ServerOptions, WebSocketServer } from 'ws';
import { HearthlendError } from '../contract/errors.ts';
import { hostAllowed } from '../contract/loopback-host.ts';
import type { Bundle } from './bundle.ts';
import { type Served, serveConnection } from './connection.ts';
import { contentSecurityPolicy, loopbackConnections } from './content-policy.ts';
import { callerOf } from './guards.ts';
import type { LoopbackLimits } from './limits.ts';

const ADDRESS = '127.0.0.1';

export interface Loopback {
  readonly port: number;
  /** Closes every connection and frees the port. */
  close(): Promise<void>;
}

/**
 * Serves the UI and its calls on 127.0.0.1: the pages to everyone who names us by our own name, everything else over one WebSocket to those
 * who authenticate. `port`: null for a free one. @throws PORT_IN_USE
 */
export async function openLoopback(port: number | null, bundle: Bundle, served: Served, limits: LoopbackLimits): Promise<Loopback> {
  const server = createServer({
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    keepAliveTimeout: limits.headersMs,
  });
  server.maxConnections = limits.connections;
  // Also for who asks for a file and doesn't read it. A WebSocket has its own bounds.
  server.setTimeout(limits.requestMs);
  // ws takes a `closeTimeout`; its types don't know it yet.
  const bounds: ServerOptions & { closeTimeout: number } = { maxPayload: limits.messageBytes, closeTimeout: limits.goodbyeMs };
  const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, ...bounds });
  const boundPort = await bind(server, port);

  server.on('request', (request, response) => servePage(request, response, bundle, boundPort));
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    const caller = callerOf(request.headers.origin, boundPort);
    if (!hostAllowed(request.headers.host, boundPort) || caller === 'stranger') refuseUpgrade(socket, '403 Forbidden');
    else if (request.url !== '/rpc') refuseUpgrade(socket, '404 Not Found');
    else sockets.handleUpgrade(request, socket, head, (webSocket) => serveConnection(webSocket, caller, served, limits));
  });
  return { port: boundPort, close: () => closeAll(server, sockets) };
}

function bind(server: Server, port: number | null): Promise<number> {
  return new Promise((resolve, reject) => {
    // Kept after binding: a connection that can't be accepted (no file descriptor left) must not end the agent.
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE' || cause.code === 'EACCES';
      reject(taken ? new HearthlendError('PORT_IN_USE', { port: String(port) }, { cause }) : cause);
    });
    server.listen({ host: ADDRESS, port: port ?? 0, exclusive: true }, () => resolve((server.address() as AddressInfo).port));
  });
}

function servePage(request: IncomingMessage, response: ServerResponse, bundle: Bundle, port: number): void {
  response.setHeader('X-Content-Type-Options', 'nosniff');
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Cross-Origin-Opener-Policy', 'same-origin');
  response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
  response.setHeader('Content-Security-Policy', contentSecurityPolicy(loopbackConnections(port)));
  response.setHeader('Cache-Control', 'no-store');
  const known = hostAllowed(request.headers.host, port);
  const reads = request.method === 'GET' || request.method === 'HEAD';
  const file = known && reads ? bundle.get((request.url ?? '').split('?', 1)[0] ?? '') : undefined;
  if (file === undefined) {
    if (!reads) response.setHeader('Allow', 'GET, HEAD');
    // The connection ends too: a body that came along is not read.
    response.writeHead(known ? (reads ? 404 : 405) : 403, { 'Content-Length': 0, Connection: 'close' });
    response.end();
    return;
  }
  response.setHeader('Cache-Control', file.cacheControl);
  response.setHeader('Content-Type', file.type);
  response.setHeader('Content-Length', file.body.byteLength);
  response.end(request.method === 'HEAD' ? undefined : file.body);
}

function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`, () => socket.destroy());
}

function closeAll(server: Server, sockets: WebSocketServer): Promise<void> {
  for (const socket of sockets.clients) socket.close(1001);
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
    // A client that doesn't answer our goodbye doesn't keep us.
    setTimeout(() => {
      for (const socket of sockets.clients) socket.terminate();
    }, 250).unref();
  });
}
