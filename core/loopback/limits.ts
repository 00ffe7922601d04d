import type { CallRateLimits } from './call-rate.ts';

/** Bounds of the loopback server: every local program can connect to it. */
export interface LoopbackLimits extends CallRateLimits {
  connections: number;
  headerBytes: number;
  /** Time for a request's headers, and for the whole request. */
  headersMs: number;
  requestMs: number;
  /** How often those two are looked at. */
  checkMs: number;
  /** How long a WebSocket may take to say who it is. */
  authenticateMs: number;
  /** How long a WebSocket that we close may take to say goodbye. */
  goodbyeMs: number;
  messageBytes: number;
  /** What may wait for a reader that is slower than we are; a snapshot is well below 1 MB. */
  bufferedBytes: number;
  callsInFlight: number;
  /** How long a code for a page is good for. */
  codeMs: number;
}

export const LOOPBACK_LIMITS: LoopbackLimits = {
  connections: 32,
  headerBytes: 8192,
  headersMs: 5000,
  requestMs: 10_000,
  checkMs: 1000,
  authenticateMs: 5000,
  goodbyeMs: 1000,
  messageBytes: 1 << 20,
  bufferedBytes: 8 << 20,
  callsInFlight: 64,
  // A page makes some ten calls as it opens and one a click; the command line one or two.
  callsAtOnce: 300,
  callsPerSecond: 50,
  codeMs: 30_000,
};
