import { z } from 'zod';
import { BreakOutAttempt } from './isolation.ts';
import type { WorkerRequest } from './worker-messages.ts';

/** The GPU that a page computes on, as its browser describes it; a browser may leave any of the words empty. */
export const Adapter = z.strictObject({
  vendor: z.string().max(100),
  architecture: z.string().max(100),
  description: z.string().max(200),
  /** It computes on the CPU: nothing to earn with. */
  software: z.boolean(),
});
export type Adapter = z.infer<typeof Adapter>;

/** One file of a model, by the manifest's path. */
export interface GivenFile {
  path: string;
  bytes: ArrayBuffer;
}

/**
 * What a page is given over its one port: ONNX Runtime's WebAssembly first, then requests with all that they need. Where a message can't carry
 * much at once, parts go before it: of the file of this path, or of what has no path ('': the WebAssembly, a request's body); an empty one says that
 * the file is there.
 */
export type PageMessage =
  | { kind: 'part'; path: string; bytes: ArrayBuffer }
  | { kind: 'start'; wasm: ArrayBuffer | null }
  | { kind: 'request'; request: WorkerRequest; body: ArrayBuffer | null; files: GivenFile[] };

/** What it says over the port beside the bytes of its frames (Uint8Array): that it can compute, or why it can't. */
export const PageWord = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('adapter'), adapter: Adapter.nullable() }),
  z.strictObject({ kind: z.literal('failed'), detail: z.string().max(2000) }),
]);
export type PageWord = z.infer<typeof PageWord>;

/** Largest piece in which a page sends its frames: each becomes one message of the browser's, as text. */
export const PIECE_BYTES = 1 << 20;

/** What is laid out for a page to reach. Each way out that has an address appends its name to `server`. */
export interface PageBait {
  /** Origin of an HTTP server on this machine. */
  server: string;
  /** The same machine under another port, at which it counts who connects. */
  connectUrl: string;
  /** Port of 127.0.0.1 at which TCP connections and datagrams are counted. */
  port: number;
  /** A file of this machine, as a file: address. */
  file: string;
}

/** A way out of a page, as its probe lists it. */
export const PageWay = z.strictObject({
  name: z.string().max(80),
  kind: BreakOutAttempt.shape.kind,
  /** It may leave the page, and is tried in one of its own. */
  leaves: z.boolean(),
  /** Only counting what arrives can tell, so nothing else is tried meanwhile. */
  alone: z.boolean(),
});
export type PageWay = z.infer<typeof PageWay>;

/** What came of one attempt, as the page saw it; whether something reached the bait only the bait knows. */
export const PageAttempt = z.strictObject({
  name: z.string().max(80),
  reached: z.string().max(400).nullable(),
  /** What the browser said against it. */
  refusal: z.string().max(400).nullable(),
  /** The content policy's directive that stopped it. */
  directive: z.string().max(80).nullable(),
});
export type PageAttempt = z.infer<typeof PageAttempt>;
