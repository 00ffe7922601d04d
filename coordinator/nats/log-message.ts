import { deflateSync, inflateSync } from 'node:zlib';
import { z } from 'zod';
import { HearthlendError } from '../../core/contract/errors.ts';

/**
 * The version of what the changes do with their arguments. A coordinator stops before a message of a newer one, since it would make something else of
 * it; so a change of meaning raises this, and the older meaning stays for older messages.
 */
const VERSION = 1;
/** The first byte of what deflate makes, and never one of JSON. Source: RFC 1950, section 2.2 (CM 8, CINFO 7). */
const DEFLATED = 0x78;
/** Messages from this size on travel deflated. */
const DEFLATE_FROM_BYTES = 32 * 1024;
/** What one message may hold inflated. */
const MAX_INFLATED_BYTES = 64 * 2 ** 20;

/** Changes that one coordinator appended together: one message of the log. */
export interface LogMessage {
  /** The coordinator, by a name of this run of it alone. */
  writer: string;
  /** Grows from message to message of a writer: one that comes again, or after a later one, is passed over. */
  number: number;
  /** Names and arguments, in order. */
  changes: ReadonlyArray<readonly [string, readonly unknown[]]>;
}

const Envelope = z.object({ v: z.int().min(1) });
const Message = z.strictObject({
  v: z.int(),
  writer: z.string().min(1).max(64),
  number: z.int().min(1),
  changes: z
    .array(z.tuple([z.string().max(64), z.array(z.unknown()).max(16)]))
    .min(1)
    .max(4096),
});

/** @param changes each as the JSON of its name and arguments */
export function encodeMessage(writer: string, number: number, changes: readonly string[]): Uint8Array {
  const text = Buffer.from(`{"v":${VERSION},"writer":${JSON.stringify(writer)},"number":${number},"changes":[${changes.join()}]}`);
  return text.byteLength < DEFLATE_FROM_BYTES ? text : deflateSync(text, { level: 3 });
}

/** @param known the changes that there are here @param where the stream and the sequence in it, for the error @throws LOG_CORRUPT, LOG_NEWER */
export function decodeMessage(bytes: Uint8Array, known: ReadonlySet<string>, where: { stream: string; sequence: number }): LogMessage {
  const corrupt = (detail: string) => new HearthlendError('LOG_CORRUPT', { ...where, detail: detail.slice(0, 200) });
  let content: unknown;
  try {
    const text = bytes[0] === DEFLATED ? inflateSync(bytes, { maxOutputLength: MAX_INFLATED_BYTES }) : bytes;
    content = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
  } catch (thrown) {
    throw corrupt((thrown as Error).message);
  }
  const envelope = Envelope.safeParse(content);
  if (envelope.success && envelope.data.v > VERSION)
    throw new HearthlendError('LOG_NEWER', { ...where, detail: `version ${envelope.data.v}` });
  const message = Message.safeParse(content);
  if (!message.success) throw corrupt(`${message.error.issues[0]?.path.join('.')}: ${message.error.issues[0]?.message}`);
  const { writer, number, changes } = message.data;
  const unknown = changes.find(([name]) => !known.has(name));
  if (unknown !== undefined) throw new HearthlendError('LOG_NEWER', { ...where, detail: `the change ${unknown[0]}` });
  return { writer, number, changes };
}
