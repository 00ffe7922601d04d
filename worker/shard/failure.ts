import { type ErrorCode, HearthlendError } from '../../core/contract/errors.ts';

/** Longest text of an error that leaves the worker: the reply's schema allows 2,000 characters a parameter. */
const MAX_DETAIL_CHARS = 1_000;

/** An error of ONNX Runtime as one of ours; one of ours stays as it is. */
export function failureOf(thrown: unknown, code: Extract<ErrorCode, 'MODEL_INVALID' | 'RUN_FAILED'>): HearthlendError {
  if (thrown instanceof HearthlendError) return thrown;
  return new HearthlendError(code, { detail: thrown instanceof Error ? thrown.message : String(thrown) }, { cause: thrown });
}

/** The parameters of an error's message, each short enough for a reply. */
export function boundedParams(error: HearthlendError): Record<string, string | number> {
  return Object.fromEntries(
    Object.entries(error.params).map(([name, value]) => [name, typeof value === 'string' ? shortened(value) : value]),
  );
}

function shortened(text: string): string {
  return text.length <= MAX_DETAIL_CHARS ? text : `${text.slice(0, MAX_DETAIL_CHARS - 1)}…`;
}

/** Names for a message, a few of them where there are many. */
export function listed(names: readonly string[]): string {
  const shown = names.slice(0, 20).join(', ');
  return names.length <= 20 ? shown : `${shown}, … (${names.length})`;
}
