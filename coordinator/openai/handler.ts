import type { IncomingMessage, ServerResponse } from 'node:http';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import { readBody } from './body.ts';
import { answerChat } from './chat.ts';
import { answerCompletion } from './completions.ts';
import { answerEmbeddings } from './embeddings.ts';
import { faultOf } from './faults.ts';
import { createFollowing } from './following.ts';
import { listModels, showModel } from './models.ts';
import type { Asking, RequestPorts } from './ports.ts';
import { sendJson } from './stream.ts';

/** An OpenAI-compatible interface, to be mounted on whatever server there is. */
export interface RequestHandler {
  /** False where the path is none of its own, and nothing was done. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
  /** Says why nothing is done, in the form that clients of this interface read. */
  refuse(response: ServerResponse, thrown: unknown): void;
  /** Ends what is being answered, and its jobs. */
  close(): void;
}

type Answering = (asking: Asking, response: ServerResponse, body: Record<string, unknown>) => Promise<void>;

const POSTS: Record<string, Answering> = {
  '/v1/chat/completions': answerChat,
  '/v1/completions': answerCompletion,
  '/v1/embeddings': answerEmbeddings,
};
const MODELS = '/v1/models';
/** When to come back where too much is asked at once (s). */
const RETRY_AFTER = '1';

export function createRequestHandler(ports: RequestPorts): RequestHandler {
  const { limits, log } = ports;
  const following = createFollowing(ports.intake);
  const answering = new Set<AbortController>();
  const ofKey = new Map<string, number>();
  let closed = false;

  function refuse(response: ServerResponse, thrown: unknown): void {
    const { status, error } = faultOf(thrown);
    const { code } = asHearthlendError(thrown);
    if (status >= 500 && code !== 'CANCELLED')
      log('warn', 'request-failed', { code, detail: String((thrown as Error).message).slice(0, 500) });
    if (response.headersSent || response.destroyed) {
      response.destroy();
      return;
    }
    sendJson(response, status, { error }, limits.readMs, {
      // What comes along and was not read is not waited for; who is to come back keeps the connection, if it is short.
      ...(status === 429 && bodyLength(response.req) <= limits.bodyBytes ? {} : { Connection: 'close' }),
      ...(status === 429 ? { 'Retry-After': RETRY_AFTER } : {}),
      // Only what may be otherwise the next time is worth another try.
      'x-should-retry': String(status === 429 || status === 503 || status === 408),
    });
  }

  async function answer(request: IncomingMessage, response: ServerResponse, path: string, abort: AbortController): Promise<void> {
    const requester = await ports.requesterOf(bearerOf(request));
    if (requester === null) throw new HearthlendError('API_KEY_INVALID');
    const { method } = request;
    if (method === 'GET' && path === MODELS) return sendJson(response, 200, listModels(ports.models), limits.readMs);
    if (method === 'GET' && path.startsWith(`${MODELS}/`)) {
      return sendJson(response, 200, showModel(ports.models, decoded(path.slice(MODELS.length + 1))), limits.readMs);
    }
    const post = POSTS[path];
    if (method !== 'POST' || post === undefined) {
      throw new HearthlendError('REQUEST_NOT_FOUND', { method: method ?? '?', path: path.slice(0, 200) });
    }
    const mine = ofKey.get(requester.id) ?? 0;
    if (mine >= limits.requestsPerKey) throw new HearthlendError('REQUESTS_TOO_MANY', { limit: limits.requestsPerKey });
    ofKey.set(requester.id, mine + 1);
    try {
      const body = await readBody(request, limits);
      await post({ ports, following, requester, signal: abort.signal }, response, body);
    } finally {
      const left = (ofKey.get(requester.id) ?? 1) - 1;
      if (left === 0) ofKey.delete(requester.id);
      else ofKey.set(requester.id, left);
    }
  }

  return {
    handle(request, response) {
      const path = (request.url ?? '').split('?', 1)[0] ?? '';
      if (POSTS[path] === undefined && path !== MODELS && !path.startsWith(`${MODELS}/`)) return false;
      // A connection that breaks is told by its end.
      response.on('error', () => undefined);
      request.on('error', () => undefined);
      if (closed || answering.size >= limits.requests) {
        refuse(response, closed ? new HearthlendError('CANCELLED') : new HearthlendError('REQUESTS_TOO_MANY', { limit: limits.requests }));
        return true;
      }
      // A long answer is no dead connection: what shows that one is dead comes with the stream, or with its end.
      request.socket.setTimeout(0);
      const abort = new AbortController();
      answering.add(abort);
      response.on('close', () => {
        answering.delete(abort);
        abort.abort();
      });
      answer(request, response, path, abort).catch((thrown: unknown) => refuse(response, thrown));
      return true;
    },
    refuse,
    close() {
      closed = true;
      for (const each of [...answering]) each.abort();
      following.close();
    },
  };
}

/** Infinite where nobody says it beforehand. */
function bodyLength({ headers }: IncomingMessage): number {
  if (headers['transfer-encoding'] !== undefined) return Number.POSITIVE_INFINITY;
  return Number(headers['content-length'] ?? 0);
}

function bearerOf({ headers }: IncomingMessage): string {
  return /^Bearer ([\x21-\x7e]{1,256})$/i.exec(headers.authorization ?? '')?.[1] ?? '';
}

/** @throws MODEL_UNKNOWN for what is no escaped text */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new HearthlendError('MODEL_UNKNOWN', { model: text.slice(0, 200) });
  }
}
