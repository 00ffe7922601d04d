import { HearthlendError } from '../contract/errors.ts';

/** What an aborted signal makes whoever waited reject with: its reason where that is an error of ours. */
export function cancellation(signal: AbortSignal | undefined): HearthlendError {
  return signal?.reason instanceof HearthlendError ? signal.reason : new HearthlendError('CANCELLED');
}

/** What `promise` comes to, or, as soon as the signal is aborted, a rejection by that. */
export async function orAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await promise;
  if (signal.aborted) throw cancellation(signal);
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(cancellation(signal));
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
