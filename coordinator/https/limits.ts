/** Bounds of what strangers can do to the HTTPS server. */
export const HTTPS_LIMITS = {
  connections: 1024,
  /** Several machines may stand behind one address. */
  connectionsPerAddress: 128,
  requestsPerConnection: 1000,
  headerBytes: 8192,
  headersMs: 10_000,
  /** For a whole request: an upload over a slow line is one. */
  requestMs: 3_600_000,
  /** A connection on which nothing moves for so long is closed. */
  silentMs: 30_000,
  checkMs: 5000,
  goodbyeMs: 2000,
  joinBytes: 8192,
} as const;
