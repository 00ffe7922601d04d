import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http';
import { Agent as HttpsAgent, request as requestHttps } from 'node:https';
import { HearthlendError } from '../../contract/errors.ts';
import type { HubAccess } from '../../contract/models.ts';
import { isLoopback, mayFollow } from './hosts.ts';

const MAX_REDIRECTS = 5;
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/** Bounds of time. A source may be slow, but it must come on by `leastBytes` in every `windowMs`. */
export interface Pace {
  /** Until an answer's headers are here. */
  answerMs: number;
  windowMs: number;
  leastBytes: number;
}
export const USUAL_PACE: Pace = { answerMs: 30_000, windowMs: 60_000, leastBytes: 64 << 10 };

/** How to fetch: through which proxy, with which token for which origin, and until when. */
export interface Net {
  proxy: HubAccess['proxy'];
  /** Goes to this origin alone, whatever redirects say. */
  token: { origin: string; value: string } | null;
  /** Whether the addresses asked belong to a model hub, whose stores redirects may lead to. */
  hub: boolean;
  pace: Pace;
  signal: AbortSignal;
}

/**
 * Asks for an address and follows what redirects are allowed. The body has not been read; `destroy` it when it isn't wanted.
 * @throws HUB_UNREACHABLE, HUB_REDIRECT_REFUSED, HUB_ANSWER_INVALID, CANCELLED
 */
export async function ask(address: URL, headers: Record<string, string>, net: Net): Promise<IncomingMessage> {
  let url = address;
  for (let hop = 0; hop <= MAX_REDIRECTS; hop += 1) {
    const answer = await askOnce(url, headers, net);
    const { location } = answer.headers;
    if (!REDIRECTS.has(answer.statusCode ?? 0) || location === undefined) {
      const encoding = answer.headers['content-encoding'] ?? 'identity';
      if (encoding === 'identity') return answer;
      answer.destroy();
      throw new HearthlendError('HUB_ANSWER_INVALID', { host: url.host, detail: `it is encoded as ${encoding}, which was not asked for` });
    }
    answer.destroy();
    const next = URL.parse(location, url.href);
    if (next === null || !mayFollow(address, next, net.hub)) {
      throw new HearthlendError('HUB_REDIRECT_REFUSED', { from: address.host, to: next === null ? location.slice(0, 200) : next.origin });
    }
    url = next;
  }
  throw new HearthlendError('HUB_ANSWER_INVALID', { host: address.host, detail: `it redirects more than ${MAX_REDIRECTS} times` });
}

function askOnce(url: URL, headers: Record<string, string>, net: Net): Promise<IncomingMessage> {
  const secure = url.protocol === 'https:';
  // What is on this machine is never asked for through a proxy.
  const options = { proxyEnv: isLoopback(url.hostname) ? {} : net.proxy, keepAlive: false };
  const authorization = net.token?.origin === url.origin ? { authorization: `Bearer ${net.token.value}` } : {};
  const sent = {
    headers: { 'user-agent': 'hearthlend', accept: '*/*', 'accept-encoding': 'identity', ...headers, ...authorization },
    signal: net.signal,
    timeout: net.pace.answerMs,
  };
  return new Promise((resolve, reject) => {
    let request: ClientRequest;
    const fail = (cause: Error) => reject(unreachable(url, cause, net));
    try {
      request = secure
        ? requestHttps(url, { ...sent, agent: new HttpsAgent(options) })
        : requestHttp(url, { ...sent, agent: new HttpAgent(options) });
    } catch (cause) {
      // A proxy's address that is none, or a header with a line break in it.
      fail(cause as Error);
      return;
    }
    const timer = setTimeout(() => request.destroy(new Error(`no answer within ${net.pace.answerMs / 1000} s`)), net.pace.answerMs);
    request.on('error', (cause) => {
      clearTimeout(timer);
      fail(cause);
    });
    request.once('response', (answer) => {
      clearTimeout(timer);
      // Its socket may stay silent from now on as long as the pace allows.
      request.setTimeout(0);
      resolve(answer);
    });
    request.end();
  });
}

/** What a broken connection means: that it was cancelled, or its host and reason. */
export function unreachable(url: URL, cause: Error, { signal }: Pick<Net, 'signal'>): HearthlendError {
  if (signal.aborted) return new HearthlendError('CANCELLED', {}, { cause });
  return new HearthlendError(
    'HUB_UNREACHABLE',
    { host: url.host, detail: cause.message || (cause as NodeJS.ErrnoException).code || cause.name },
    { cause },
  );
}

/**
 * Gives a body's chunks for as long as it keeps the pace. @throws DOWNLOAD_STALLED, and what the stream ends with
 * @param file what it is called where it stalls
 */
export async function* paced(answer: IncomingMessage, file: string, host: string, { windowMs, leastBytes }: Pace): AsyncGenerator<Buffer> {
  let inWindow = 0;
  const timer = setInterval(() => {
    if (inWindow < leastBytes)
      answer.destroy(new HearthlendError('DOWNLOAD_STALLED', { host, file, leastBytes, seconds: windowMs / 1000 }));
    inWindow = 0;
  }, windowMs);
  try {
    for await (const chunk of answer) {
      inWindow += (chunk as Buffer).byteLength;
      yield chunk as Buffer;
    }
  } finally {
    clearInterval(timer);
    answer.destroy();
  }
}
