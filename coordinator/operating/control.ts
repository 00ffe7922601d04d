import { randomBytes, timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HearthlendError } from '../../core/contract/errors.ts';
import { hostAllowed } from '../../core/contract/loopback-host.ts';
import { OPERATOR_CALLS, type OperatorCallName, type OperatorHandlers } from '../../core/contract/operating.ts';
import { answerJson, answerRefusal, answerWith, readJson } from '../https/answer.ts';
import type { Log } from '../log.ts';
import type { Metrics } from '../metrics/metrics.ts';
import { refusalOf } from '../refusals.ts';

const ADDRESS = '127.0.0.1';
const BODY_BYTES = 8192;
const HEADERS_MS = 5000;

/** What the operator's own commands and Prometheus reach, on this machine alone. */
export interface Control {
  readonly port: number;
  /** Who has it may call; metrics are for every local program. */
  readonly token: string;
  close(): Promise<void>;
}

/** @param port 0: any free one @throws PORT_IN_USE */
export async function openControl(port: number, handlers: OperatorHandlers, metrics: Metrics, log: Log): Promise<Control> {
  const token = randomBytes(32).toString('base64url');
  const server = createServer({
    maxHeaderSize: 8192,
    headersTimeout: HEADERS_MS,
    requestTimeout: 2 * HEADERS_MS,
    keepAliveTimeout: HEADERS_MS,
  });
  server.maxConnections = 32;
  const bound = await new Promise<number>((resolve, reject) => {
    server.on('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE' || cause.code === 'EACCES';
      reject(taken ? new HearthlendError('PORT_IN_USE', { port: String(port) }, { cause }) : cause);
    });
    server.listen({ host: ADDRESS, port, exclusive: true }, () => resolve((server.address() as AddressInfo).port));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    // A page of a stranger's domain that was made to lead here names its own host.
    if (!hostAllowed(request.headers.host, bound)) return answerWith(response, 403, { 'Content-Length': 0 });
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    if (path === '/metrics' && request.method === 'GET') {
      const text = await metrics.text();
      return answerWith(
        response,
        200,
        { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8', 'Content-Length': Buffer.byteLength(text) },
        text,
      );
    }
    const call = /^\/operator\/([a-z]{1,16})$/.exec(path)?.[1] ?? '';
    if (request.method !== 'POST' || !Object.hasOwn(OPERATOR_CALLS, call)) return answerWith(response, 404, { 'Content-Length': 0 });
    if (!isToken(request.headers.authorization)) return answerWith(response, 401, { 'Content-Length': 0 });
    const name = call as OperatorCallName;
    const input = OPERATOR_CALLS[name].input.safeParse(await readJson(request, BODY_BYTES));
    if (!input.success) throw new HearthlendError('NETWORK_REQUEST_INVALID', { detail: input.error.issues[0]?.path.join('.') ?? '' });
    answerJson(response, 200, await (handlers[name] as (input: unknown) => Promise<unknown>)(input.data));
  }

  function isToken(header: string | undefined): boolean {
    const given = Buffer.from(header ?? '');
    const right = Buffer.from(`Bearer ${token}`);
    return given.byteLength === right.byteLength && timingSafeEqual(given, right);
  }

  server.on('request', (request, response) => {
    response.setHeader('X-Content-Type-Options', 'nosniff');
    answer(request, response).catch((thrown: unknown) => answerRefusal(response, refusalOf(thrown, log, 'operator')));
  });
  return {
    port: bound,
    token,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
