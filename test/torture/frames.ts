import { HearthlendError } from '../../core/contract/errors.ts';
import { encodeFramePrefix, FrameDecoder } from '../../core/contract/frame.ts';
import { decodeSafetensors, encodeSafetensors } from '../../core/contract/safetensors.ts';
import { WorkerReply } from '../../core/contract/worker-messages.ts';
import { checks, type Finding } from './finding.ts';

const LIMITS = { headerBytes: 4096, bodyBytes: 4096 };

/** Valid frames with bytes changed, cut out, doubled or cut off: each is refused by its code or read, and nothing is held beyond the limits. */
export function tortureByFrames(frames: number): Finding {
  const { wrong, expect } = checks();
  const body = encodeSafetensors(new Map([['y', { type: 'float32', shape: [2], data: new Uint8Array(8) }]]));
  const header = { type: 'result', id: 1, runMs: 1, tokensMade: 0, nearTies: 0, residentBytes: 1 };
  const whole = Buffer.concat([encodeFramePrefix(header, body.byteLength, LIMITS), body]);
  const counts = { refused: 0, read: 0, waiting: 0 };
  for (let frame = 0; frame < frames; frame += 1) {
    const decoder = new FrameDecoder(LIMITS);
    const bytes = corrupted(whole);
    try {
      const read = decoder.push(bytes);
      expect(decoder.pendingBytes <= LIMITS.headerBytes + LIMITS.bodyBytes + 8, `${decoder.pendingBytes} bytes are held`);
      if (read.length === 0) counts.waiting += 1;
      for (const { header: found, body: blob } of read) {
        if (WorkerReply.safeParse(found).success) decodeSafetensors(blob);
        counts.read += 1;
      }
    } catch (thrown) {
      const known =
        thrown instanceof HearthlendError &&
        ['WORKER_PROTOCOL', 'TENSOR_INVALID', 'TENSOR_TYPE_UNSUPPORTED', 'TENSOR_TOO_LARGE'].includes(thrown.code);
      expect(known, `${String(thrown)} for ${bytes.toString('hex').slice(0, 200)}`);
      counts.refused += 1;
    }
  }
  const { refused, read, waiting } = counts;
  return { did: `${frames} corrupted frames: ${refused} refused by code, ${waiting} not whole, ${read} still readable`, wrong };
}

function corrupted(whole: Buffer): Buffer {
  const bytes = Buffer.from(whole);
  const at = Math.floor(Math.random() * bytes.length);
  const kind = Math.floor(Math.random() * 4);
  if (kind === 0) return bytes.subarray(0, at);
  if (kind === 1)
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + Math.floor(Math.random() * 8)))]);
  if (kind === 2) return Buffer.concat([bytes.subarray(0, at), bytes]);
  for (let each = 0; each <= Math.random() * 4; each += 1)
    bytes[Math.floor(Math.random() * bytes.length)] = Math.floor(Math.random() * 256);
  return bytes;
}
