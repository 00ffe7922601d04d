import { asHearthlendError, type ErrorCode, type HearthlendError } from '../core/contract/errors.ts';
import type { MessageParams } from '../core/contract/messages.ts';
import type { Log } from './log.ts';

/** An error as strangers are told of it. */
export interface Refusal {
  code: ErrorCode;
  params: MessageParams;
}

/** What a stranger can do something about. Everything else is the operator's, and its details stay here. */
const TOLD = /^(NETWORK|INVITE|LEASE|RESULT|BATCH|RECEIPT|AUDIT|BLOB|DIGEST|TENSOR|OUTPUT|JOB)_/;
const MAX_PARAMS = 16;
const MAX_TEXT = 500;

/** What to answer for something that went wrong; what is nobody's fault but ours is noted. */
export function refusalOf(thrown: unknown, log: Log, doing: string): Refusal {
  const error = asHearthlendError(thrown);
  // It is about to end; the caller comes back to another, or later.
  if (error.code === 'CANCELLED') return { code: 'NETWORK_BUSY', params: {} };
  if (TOLD.test(error.code)) return { code: error.code, params: bounded(error) };
  log('error', 'call-failed', { doing, code: error.code, detail: error.message.slice(0, MAX_TEXT) });
  return { code: 'INTERNAL', params: { detail: error.code } };
}

function bounded({ params }: HearthlendError): MessageParams {
  const entries = Object.entries(params).slice(0, MAX_PARAMS);
  return Object.fromEntries(entries.map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, MAX_TEXT) : value]));
}
