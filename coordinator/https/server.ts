import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { refusalOf } from '../refusals.ts';
import type { Certified } from '../tls/certificate.ts';
import { answerRefusal, answerWith } from './answer.ts';
import { HTTPS_LIMITS } from './limits.ts';
import { addressGroup, createRates, type Rate } from './rates.ts';

/** What answers one path. It throws a HearthlendError for what it refuses. */
export interface Route {
  methods: readonly string[];
  /** `/v1/join`, or with a `/` at its end everything below it. */
  path: string;
  /** What it counts as among the metrics. */
  name: string;
  rate: Rate;
  answer(request: IncomingMessage, response: ServerResponse, rest: string): Promise<void> | void;
}

export interface HttpsServer {
  readonly port: number;
  /** From now on connections see this certificate. */
  certify(certified: Certified): void;
  /** Lets what is under way end, for a while. */
  close(): Promise<void>;
}

interface HttpsOptions {
  host: string;
  /** 0: any free one. */
  port: number;
  certified: Certified;
  routes: readonly Route[];
  log: Log;
  metrics: Metrics;
  limits?: Partial<Record<keyof typeof HTTPS_LIMITS, number>>;
}

/** Serves strangers: every size, time, connection and rate has a bound, and whatever goes wrong is told by its code. @throws PORT_IN_USE */
export async function serveHttps(options: HttpsOptions): Promise<HttpsServer> {
  const { host, port, certified, routes, log, metrics } = options;
  const limits = { ...HTTPS_LIMITS, ...options.limits };
  const contextOf = ({ certificate, key }: Certified) => ({ cert: certificate, key, minVersion: 'TLSv1.2' as const });
  const server = createServer({
    ...contextOf(certified),
    ALPNProtocols: ['http/1.1'],
    handshakeTimeout: limits.headersMs,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersMs,
    requestTimeout: limits.requestMs,
    connectionsCheckingInterval: limits.checkMs,
    keepAliveTimeout: limits.headersMs,
  });
  server.maxConnections = limits.connections;
  server.maxRequestsPerSocket = limits.requestsPerConnection;
  // Also for who asks for a file and doesn't read it.
  server.setTimeout(limits.silentMs, (socket) => socket.destroy());
  const perAddress = boundConnections(server, limits.connectionsPerAddress);
  const rates = new Map(routes.map((route) => [route, createRates(route.rate)]));
  const requests = metrics.counter('hearthlend_https_requests_total', 'Requests over HTTPS, by route and status.');
  metrics.gauge('hearthlend_https_connections', 'Open HTTPS connections.', () => [{ value: perAddress.open() }]);

  server.on('request', (request, response) => {
    const { pathname } = URL.parse(`https://x${request.url ?? ''}`) ?? { pathname: '' };
    const route = routes.find(({ path }) => (path.length > 1 && path.endsWith('/') ? pathname.startsWith(path) : pathname === path));
    response.once('close', () => requests({ route: route?.name ?? 'none', status: String(response.statusCode) }));
    response.on('error', () => response.destroy());
    request.on('error', () => response.destroy());
    for (const [name, value] of Object.entries(HEADERS)) response.setHeader(name, value);
    if (route === undefined) return answerWith(response, 404, { 'Content-Length': 0 });
    if (!route.methods.includes(request.method ?? ''))
      return answerWith(response, 405, { Allow: route.methods.join(', '), 'Content-Length': 0 });
    if (rates.get(route)?.(addressGroup(request.socket.remoteAddress), performance.now()) !== true) {
      response.setHeader('Retry-After', '1');
      return answerRefusal(response, { code: 'NETWORK_BUSY', params: {} }, 429);
    }
    void (async () => {
      try {
        await route.answer(request, response, pathname.slice(route.path.length));
      } catch (thrown) {
        answerRefusal(response, refusalOf(thrown, log, route.name));
      }
    })();
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    // One that only looked at the certificate and left asked nothing.
    if (error.code !== 'ECONNRESET') requests({ route: 'none', status: '400' });
    socket.on('error', () => socket.destroy());
    if (socket.writable && error.code !== 'ECONNRESET')
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
    else socket.destroy();
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());

  const bound = await new Promise<number>((resolve, reject) => {
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE' || cause.code === 'EACCES';
      reject(taken ? new HearthlendError('PORT_IN_USE', { port: String(port) }, { cause }) : cause);
      // Once it listens: a connection that can't be taken, since no file descriptor is left, ends nothing.
      log('error', 'https', { detail: cause.message });
    });
    server.listen({ host, port, exclusive: true }, () => resolve((server.address() as AddressInfo).port));
  });
  return {
    port: bound,
    certify: (next) => server.setSecureContext(contextOf(next)),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeIdleConnections();
        setTimeout(() => server.closeAllConnections(), limits.goodbyeMs).unref();
      }),
  };
}

const HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Referrer-Policy': 'no-referrer',
  'Cache-Control': 'no-store',
  'Content-Security-Policy': "default-src 'none'; frame-ancestors 'none'",
};

function boundConnections(server: Server, limit: number): { open(): number } {
  const counts = new Map<string, number>();
  let open = 0;
  server.on('connection', (socket: Socket) => {
    const group = addressGroup(socket.remoteAddress);
    const count = (counts.get(group) ?? 0) + 1;
    if (count > limit) {
      socket.destroy();
      return;
    }
    counts.set(group, count);
    open += 1;
    socket.once('close', () => {
      open -= 1;
      const left = (counts.get(group) ?? 1) - 1;
      if (left === 0) counts.delete(group);
      else counts.set(group, left);
    });
  });
  return { open: () => open };
}
