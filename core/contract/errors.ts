import type { MessageParams } from './messages.ts';

/**
 * Every way in which Hearthlend says no, by its stable code. The words are in resources/locales/<language>/errors.json under the same code:
 * `<CODE>` says what happened, `<CODE>.next` what to do.
 */
export const ERROR_CODES = [
  // bytes and tensors
  'TENSOR_INVALID',
  'TENSOR_TYPE_UNSUPPORTED',
  'TENSOR_TOO_LARGE',
  'NPZ_INVALID',
  'DIGEST_MISMATCH',
  'BLOB_MISSING',
  'BLOB_TRUNCATED',
  // models
  'MODEL_NOT_FOUND',
  'MODEL_NOT_NAMED',
  'MODEL_INVALID',
  'MODEL_DATA_MISSING',
  'MODEL_TOO_LARGE',
  'MODEL_OVER_MEMORY',
  'MODEL_OVER_FREE_MEMORY',
  'MODEL_OPERATOR_REFUSED',
  'MODEL_SIZE_WRONG',
  'MODEL_TOO_COMPLEX',
  'MODEL_VALUE_UNSUPPORTED',
  'MODEL_PATH_UNSAFE',
  'MODEL_NOT_GENERATIVE',
  'MODEL_UNCUTTABLE',
  'MODEL_SPLIT_DIFFERS',
  'MODEL_UNKNOWN',
  'MODEL_AMBIGUOUS',
  'MODEL_IN_USE',
  'MODEL_SOURCE_INVALID',
  'MODEL_FILE_UNCLEAR',
  'MODEL_LICENCE_MISSING',
  'HUB_NOT_FOUND',
  'HUB_GATED',
  'HUB_REFUSED',
  'HUB_UNREACHABLE',
  'HUB_ANSWER_INVALID',
  'HUB_REDIRECT_REFUSED',
  'DOWNLOAD_STALLED',
  'DOWNLOAD_CUT_OFF',
  'DOWNLOAD_SIZE_WRONG',
  'TOKENIZER_INVALID',
  'TEXT_TOO_LONG',
  'INPUT_MISSING',
  'INPUT_UNKNOWN',
  'INPUT_MISMATCH',
  'OUTPUT_UNKNOWN',
  // worker
  'WORKER_START_FAILED',
  'WORKER_PROTOCOL',
  'WORKER_CRASHED',
  'WORKER_BACKING_OFF',
  'WORKER_TIMEOUT',
  'WORKER_OUT_OF_MEMORY',
  'WORKER_OUT_OF_VRAM',
  'WORKER_STOPPED',
  'RUN_FAILED',
  'BACKEND_REFUSED',
  'BACKEND_UNKNOWN',
  'BACKEND_DOWNLOAD_INVALID',
  'OUTPUT_TOO_LARGE',
  'OUTPUT_NOT_FINITE',
  'ISOLATION_REFUSED',
  'ISOLATION_BROKEN',
  // benchmark
  'BENCHMARK_RUNNING',
  'BENCHMARK_BUSY',
  'BENCHMARK_NOISY',
  'BENCHMARK_LATE',
  // network
  'NETWORK_UNKNOWN',
  'NETWORK_UNREACHABLE',
  'NETWORK_CERTIFICATE_WRONG',
  'NETWORK_REFUSED',
  'NETWORK_ANSWER_INVALID',
  'NETWORK_RECORD_INVALID',
  'NETWORK_JOINED',
  'NETWORK_TOO_MANY',
  'INVITE_INVALID',
  'INVITE_FINGERPRINT_WRONG',
  'LEASE_DOUBLED',
  'LEASE_EXPIRED',
  'LEASE_UNKNOWN',
  'RESULT_MALFORMED',
  'RESULT_CONFLICT',
  'AUDIT_FAILED',
  'RECEIPT_INVALID',
  'BATCH_INVALID',
  'JOB_UNKNOWN',
  'JOB_FAILED',
  'JOB_CANCELLED',
  'JOB_UNFINISHED',
  'JOB_LEFT',
  // a network's coordinator
  'NATS_MISSING',
  'NATS_FAILED',
  'NATS_UNREACHABLE',
  'STORE_UNREACHABLE',
  'STORE_FULL',
  'LOG_MISSING',
  'LOG_REPLACED',
  'LOG_TRUNCATED',
  'LOG_CORRUPT',
  'LOG_NEWER',
  'LOG_CHANGE_TOO_LARGE',
  'COORDINATOR_FILE_INVALID',
  'COORDINATOR_RUNNING',
  'COORDINATOR_NOT_RUNNING',
  'TERMS_INVALID',
  'INVITE_UNKNOWN',
  'INVITE_EXPIRED',
  'INVITE_USED',
  'NETWORK_SIGNATURE_INVALID',
  'NETWORK_VERSION',
  'NETWORK_BUSY',
  'NETWORK_MEMBER_UNKNOWN',
  'NETWORK_REVOKED',
  'NETWORK_CLOCK_SKEW',
  'NETWORK_REQUEST_INVALID',
  'BLOB_REFUSED',
  // requests
  'CHAT_TEMPLATE_MISSING',
  'CHAT_TEMPLATE_INVALID',
  'MODEL_NO_EMBEDDING',
  'PARAMETER_INVALID',
  'PARAMETER_UNSUPPORTED',
  'REQUEST_TOO_LARGE',
  'REQUEST_TOO_SLOW',
  'REQUEST_NOT_FOUND',
  'REQUESTS_TOO_MANY',
  'HOST_REFUSED',
  'API_KEY_INVALID',
  'API_KEY_UNKNOWN',
  'API_KEYS_TOO_MANY',
  'API_KEYS_UNREADABLE',
  'ANSWER_DIVERGED',
  'PRICE_UNKNOWN',
  'COST_TOO_HIGH',
  'BUDGET_EXCEEDED',
  'BATCH_UNSPLITTABLE',
  'JOB_BLOBS_MISSING',
  'UPLOAD_INVALID',
  'OUTPUTS_INVALID',
  'REQUESTER_KEY_MISSING',
  // storage
  'DISK_FULL',
  'DATA_DIR_UNWRITABLE',
  'DATABASE_CORRUPT',
  'DATABASE_NEWER',
  'DATABASE_UNAVAILABLE',
  'LEDGER_BROKEN',
  'TRANSITION_ILLEGAL',
  'SPOOL_LOST',
  'IDENTITY_INVALID',
  'IDENTITY_EXPOSED',
  'SETTINGS_INVALID',
  // wallet
  'WALLET_EXISTS',
  'WALLET_MISSING',
  'WALLET_LOCKED',
  'WALLET_PASSWORD_WRONG',
  'WALLET_PASSWORD_SHORT',
  'WALLET_SECRET_INVALID',
  'WALLET_NO_WORDS',
  'WALLET_WORDS_WRONG',
  'WALLET_ADDRESS_INVALID',
  'KEYSTORE_INVALID',
  'SEAL_INVALID',
  'SIGNER_START_FAILED',
  'SIGNER_PROTOCOL',
  // shells
  'AGENT_RUNNING',
  'AGENT_NOT_RUNNING',
  'AGENT_INCOMPATIBLE',
  'PORT_IN_USE',
  'RPC_UNKNOWN_CALL',
  'RPC_FORBIDDEN',
  'RPC_INVALID',
  'RPC_DISCONNECTED',
  'SESSION_REFUSED',
  'PROGRAMS_UNKNOWN',
  'WINDOW_GONE',
  'WINDOW_STUCK',
  'HELPER_GONE',
  'LINK_REFUSED',
  'PAGES_MISSING',
  'USAGE',
  'FILE_UNREADABLE',
  'FILE_UNWRITABLE',
  'FILE_EXISTS',
  'CANCELLED',
  'INTERNAL',
] as const;
export type ErrorCode = (typeof ERROR_CODES)[number];

/** An error with a stable code, and the parameters of its message. `message` is for logs; people read `describeError`. */
export class HearthlendError extends Error {
  readonly code: ErrorCode;
  readonly params: MessageParams;

  constructor(code: ErrorCode, params: MessageParams = {}, options?: ErrorOptions) {
    super(`${code} ${JSON.stringify(params)}`, options);
    this.name = 'HearthlendError';
    this.code = code;
    this.params = params;
  }
}

/** Any thrown value as a HearthlendError; what isn't one becomes INTERNAL, with the original as its cause. */
export function asHearthlendError(thrown: unknown): HearthlendError {
  if (thrown instanceof HearthlendError) return thrown;
  return new HearthlendError('INTERNAL', { detail: thrown instanceof Error ? thrown.message : String(thrown) }, { cause: thrown });
}

/** An error as it travels, as one that can be described; a code from a newer program becomes INTERNAL. */
export function errorOf(code: string, params: MessageParams): HearthlendError {
  const known = (ERROR_CODES as readonly string[]).includes(code);
  return known ? new HearthlendError(code as ErrorCode, params) : new HearthlendError('INTERNAL', { detail: code });
}
