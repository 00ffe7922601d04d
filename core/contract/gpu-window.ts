import { z } from 'zod';
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

/** What a page is given over its one port, in this order: ONNX Runtime's WebAssembly, then requests with all that they need. */
export type PageMessage =
  | { kind: 'start'; wasm: ArrayBuffer }
  | { kind: 'request'; request: WorkerRequest; body: ArrayBuffer | null; files: GivenFile[] };

/** What it says over the port beside the bytes of its frames (Uint8Array): that it can compute, or why it can't. */
export const PageWord = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('adapter'), adapter: Adapter.nullable() }),
  z.strictObject({ kind: z.literal('failed'), detail: z.string().max(2000) }),
]);
export type PageWord = z.infer<typeof PageWord>;

/** Largest piece in which a page sends its frames: each becomes one message of the browser's, as text. */
export const PIECE_BYTES = 1 << 20;
