/** Bounds of what is asked over HTTP. */
export interface RequestLimits {
  bodyBytes: number;
  /** Time for a request's body to arrive. */
  bodyMs: number;
  /** Requests that are answered at once: of everybody, and of one key. */
  requests: number;
  requestsPerKey: number;
  /** What may wait for a reader that is slower than the answer comes. */
  bufferedBytes: number;
  /** How often a stream without news shows that it lives, which is how a reader that is gone is noticed. */
  keepAliveMs: number;
  /** How long an answer that is all written may take to be read. */
  readMs: number;
}

export const REQUEST_LIMITS: RequestLimits = {
  bodyBytes: 1 << 20,
  bodyMs: 30_000,
  requests: 256,
  requestsPerKey: 128,
  bufferedBytes: 1 << 20,
  keepAliveMs: 15_000,
  readMs: 60_000,
};
