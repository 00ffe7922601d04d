import { asHearthlendError, type ErrorCode, HearthlendError } from '../../core/contract/errors.ts';
import { describeError, message } from '../../core/contract/messages.ts';

/** An error as OpenAI's interface has it. Source: "Error codes" in the reference of its API, and `APIError` of its official client. */
export interface Fault {
  status: number;
  error: { message: string; type: string; param: string | null; code: string };
}

type Kind = { status: number; type?: string; code?: string };

/** What those who ask may be told. OpenAI's code where it has one; ours, which the message explains, where it has none. */
const KINDS: Partial<Record<ErrorCode, Kind>> = {
  API_KEY_INVALID: { status: 401, code: 'invalid_api_key' },
  HOST_REFUSED: { status: 403 },
  MODEL_UNKNOWN: { status: 404, code: 'model_not_found' },
  MODEL_AMBIGUOUS: { status: 404, code: 'model_not_found' },
  REQUEST_NOT_FOUND: { status: 404, code: 'unknown_url' },
  PARAMETER_INVALID: { status: 400, code: 'invalid_value' },
  PARAMETER_UNSUPPORTED: { status: 400, code: 'unsupported_parameter' },
  TEXT_TOO_LONG: { status: 400, code: 'context_length_exceeded' },
  REQUEST_TOO_LARGE: { status: 413, code: 'request_too_large' },
  REQUEST_TOO_SLOW: { status: 408, code: 'request_timeout' },
  REQUESTS_TOO_MANY: { status: 429, type: 'requests', code: 'rate_limit_exceeded' },
  CHAT_TEMPLATE_MISSING: { status: 400 },
  CHAT_TEMPLATE_INVALID: { status: 400 },
  MODEL_NOT_GENERATIVE: { status: 400 },
  MODEL_NO_EMBEDDING: { status: 400 },
  MODEL_UNPRICED: { status: 400 },
  MODEL_NOWHERE: { status: 503 },
  MODEL_UNCUTTABLE: { status: 400 },
  MODEL_SPLIT_DIFFERS: { status: 500 },
  NETWORK_BUSY: { status: 503 },
  MODEL_DATA_MISSING: { status: 500 },
  BUDGET_EXCEEDED: { status: 429, type: 'insufficient_quota', code: 'insufficient_quota' },
  JOB_CANCELLED: { status: 409 },
  JOB_FAILED: { status: 500 },
  RUN_FAILED: { status: 500 },
  WORKER_TIMEOUT: { status: 500 },
  WORKER_CRASHED: { status: 500 },
  WORKER_OUT_OF_MEMORY: { status: 500 },
  WORKER_OUT_OF_VRAM: { status: 500 },
  MODEL_OVER_MEMORY: { status: 500 },
  MODEL_OVER_FREE_MEMORY: { status: 500 },
  OUTPUT_TOO_LARGE: { status: 500 },
  OUTPUT_NOT_FINITE: { status: 500 },
  ANSWER_DIVERGED: { status: 500 },
  CANCELLED: { status: 503 },
};

/** Anything else is this machine's own affair: its code, and none of its paths. */
export function faultOf(thrown: unknown): Fault {
  const met = asHearthlendError(thrown);
  // This interface has no way to offer a price of one's own.
  const error =
    met.code === 'PRICE_UNKNOWN' ? new HearthlendError('MODEL_UNPRICED', { unit: String(met.params.unit) }, { cause: met }) : met;
  const kind = KINDS[error.code];
  if (kind === undefined) {
    return {
      status: 500,
      error: { message: message('requests.internal', { code: error.code }), type: 'server_error', param: null, code: error.code },
    };
  }
  const { what, next } = describeError(error);
  const { status, type = status >= 500 ? 'server_error' : 'invalid_request_error', code = error.code } = kind;
  return { status, error: { message: `${what} ${next}`, type, param: paramOf(error), code } };
}

function paramOf({ code, params }: HearthlendError): string | null {
  if (code === 'MODEL_UNKNOWN' || code === 'MODEL_AMBIGUOUS' || code === 'MODEL_UNPRICED' || code === 'MODEL_NOWHERE') return 'model';
  return typeof params.param === 'string' ? params.param : null;
}
