import type { IncomingMessage } from 'node:http';
import { HearthlendError } from '../../contract/errors.ts';

/** What was asked for, for the message where the answer is a no. */
export interface Asked {
  host: string;
  /** The model, for a hub that gives it to some only; null where none is known. */
  model: string | null;
  what: string;
}

/**
 * The error that an answer's status stands for. The hub says more in X-Error-Code, and answers 401 for what is not there, too.
 * Source: hf_raise_for_status in huggingface/huggingface_hub.
 */
export function refusal(answer: Pick<IncomingMessage, 'statusCode' | 'headers'>, { host, model, what }: Asked): HearthlendError {
  const status = answer.statusCode ?? 0;
  const code = String(answer.headers['x-error-code'] ?? '');
  if (code === 'GatedRepo' || (code === '' && model !== null && (status === 401 || status === 403))) {
    return new HearthlendError('HUB_GATED', { host, model: model ?? what });
  }
  if (/NotFound$/.test(code) || status === 404 || status === 410 || status === 401)
    return new HearthlendError('HUB_NOT_FOUND', { host, what });
  return new HearthlendError('HUB_REFUSED', { host, what, status });
}

/** A page for people, as portals and proxies give in place of a file. */
export function isPage({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return /^\s*(text\/html|application\/xhtml)/i.test(headers['content-type'] ?? '');
}

/** Content-Length, where it is there. */
export function contentLength({ headers }: Pick<IncomingMessage, 'headers'>): number | null {
  const length = headers['content-length'];
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : null;
}
