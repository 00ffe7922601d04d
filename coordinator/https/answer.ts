import type { IncomingMessage, ServerResponse } from 'node:http';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Refusal } from '../refusals.ts';

const STATUS: Partial<Record<Refusal['code'], number>> = {
  NETWORK_REQUEST_INVALID: 400,
  NETWORK_VERSION: 400,
  NETWORK_CLOCK_SKEW: 400,
  BLOB_MISSING: 404,
  NETWORK_BUSY: 503,
  INTERNAL: 500,
};
const REFUSED = 403;
const JSON_MS = 10_000;

/** Answers with JSON, and has the connection end where something of the request was not read. */
export function answerJson(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body);
  answerWith(response, status, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) }, text);
}

export function answerRefusal(response: ServerResponse, refusal: Refusal, status = STATUS[refusal.code] ?? REFUSED): void {
  if (response.headersSent) response.destroy();
  else answerJson(response, status, { error: refusal });
}

export function answerWith(response: ServerResponse, status: number, headers: Record<string, string | number>, body?: string): void {
  const unread = !response.req.complete;
  response.writeHead(status, { ...headers, ...(unread ? { Connection: 'close' } : {}) });
  response.end(response.req.method === 'HEAD' ? undefined : body);
}

/** The JSON of a small request. @throws NETWORK_REQUEST_INVALID */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const invalid = (detail: string) => new HearthlendError('NETWORK_REQUEST_INVALID', { detail });
  if (Number(request.headers['content-length'] ?? 0) > limit) throw invalid(`more than ${limit} bytes`);
  const timer = setTimeout(() => request.destroy(), JSON_MS);
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request) {
      bytes += (chunk as Buffer).byteLength;
      if (bytes > limit) throw invalid(`more than ${limit} bytes`);
      chunks.push(chunk as Buffer);
    }
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks)));
  } catch (thrown) {
    throw thrown instanceof HearthlendError ? thrown : invalid('no JSON');
  } finally {
    clearTimeout(timer);
  }
}
