import { setImmediate } from 'node:timers/promises';
import { HearthlendError } from '../contract/errors.ts';
import { findNonFinite } from '../contract/non-finite.ts';
import { decodeSafetensors } from '../contract/safetensors.ts';
import type { Tensors } from '../contract/tensor.ts';

/** Checks that a run's answer holds the outputs asked for, and no others. @throws WORKER_PROTOCOL */
export function checkOutputs(blob: Uint8Array, names: readonly string[]): void {
  // By name alone: JSON.parse puts names that are numbers first, and exported models do call their outputs so.
  const found = tensorsOf(blob);
  if (found.size !== names.length || !names.every((name) => found.has(name))) throw protocol('its result has other outputs than asked for');
}

const LOOK_BYTES = 8 * 2 ** 20;

/** Checks that an answer holds finite numbers alone; in pieces, so that the agent stays awake over gigabytes. @throws OUTPUT_NOT_FINITE */
export async function checkFinite(blob: Uint8Array): Promise<void> {
  for (const [name, { type, data }] of tensorsOf(blob)) {
    for (let at = 0; at < data.byteLength; at += LOOK_BYTES) {
      if (at > 0) await setImmediate();
      const found = findNonFinite(type, data.subarray(at, at + LOOK_BYTES));
      if (found !== null) throw new HearthlendError('OUTPUT_NOT_FINITE', { name, found });
    }
  }
}

/** Checks that a generation's answer holds the tokens that it sent as it made them. @throws WORKER_PROTOCOL */
export function checkTokens(blob: Uint8Array, sent: readonly number[]): void {
  const tensors = tensorsOf(blob);
  const tokens = tensors.get('tokens');
  if (tensors.size !== 1 || tokens?.type !== 'int64' || tokens.shape.length !== 1) throw protocol('its result is no list of tokens');
  const view = new DataView(tokens.data.buffer, tokens.data.byteOffset, tokens.data.byteLength);
  const same = tokens.shape[0] === sent.length && sent.every((token, at) => view.getBigInt64(8 * at, true) === BigInt(token));
  if (!same) throw protocol('its result differs from the tokens that it sent');
}

function tensorsOf(blob: Uint8Array): Tensors {
  try {
    return decodeSafetensors(blob);
  } catch (cause) {
    throw protocol('its result is no safetensors blob', cause);
  }
}

function protocol(detail: string, cause?: unknown): HearthlendError {
  return new HearthlendError('WORKER_PROTOCOL', { detail }, { cause });
}
