import type { Sha256 } from '../core/contract/digest.ts';
import { asHearthlendError } from '../core/contract/errors.ts';
import { tokenLimit } from '../core/contract/generation.ts';
import { decodeSafetensors } from '../core/contract/safetensors.ts';
import type { GenerateShard, RunShard, Shard, Submission } from '../core/contract/shard.ts';
import type { Tensors } from '../core/contract/tensor.ts';

/** Larger ids than any vocabulary has, and small enough to be exact everywhere. */
const MAX_TOKEN_ID = 0x7fff_ffff;

export type Checked = { ok: true; tensors: Tensors } | { ok: false; code: 'DIGEST_MISMATCH' | 'RESULT_MALFORMED'; detail: string };

/**
 * Whether a result has the form that its shard asks for: committed bytes, limits, names, types, units. What it says is for the audit.
 * @param digest SHA-256 of `outputs`, as computed here @param promptTokens ids in the shard's prompt, for a generation
 */
export function checkResult(shard: Shard, promptTokens: number, submission: Submission, outputs: Uint8Array, digest: Sha256): Checked {
  if (digest !== submission.commitment) {
    return { ok: false, code: 'DIGEST_MISMATCH', detail: `it has the digest ${digest} where ${submission.commitment} was committed to` };
  }
  const malformed = (detail: string): Checked => ({ ok: false, code: 'RESULT_MALFORMED', detail });
  if (outputs.byteLength !== submission.outputBytes) {
    return malformed(`${outputs.byteLength} bytes came where ${submission.outputBytes} were announced`);
  }
  if (outputs.byteLength > shard.limits.outputBytes) {
    return malformed(`${outputs.byteLength} bytes where ${shard.limits.outputBytes} are allowed`);
  }
  let tensors: Tensors;
  try {
    tensors = decodeSafetensors(outputs);
  } catch (thrown) {
    const { code, params } = asHearthlendError(thrown);
    return malformed(`${code} ${JSON.stringify(params)}`);
  }
  // A stage's result is held against its steps, which whoever drives them knows.
  if (shard.kind === 'onnx.generate' && shard.stage !== undefined) return { ok: true, tensors };
  const fault =
    shard.kind === 'onnx.run' ? faultOfRun(shard, submission, tensors) : faultOfGeneration(shard, promptTokens, submission, tensors);
  return fault === undefined ? { ok: true, tensors } : malformed(fault);
}

function faultOfRun(shard: RunShard, submission: Submission, tensors: Tensors): string | undefined {
  const names = [...tensors.keys()];
  if (names.length === 0) return 'it has no outputs';
  if (shard.outputs.length > 0) {
    const missing = shard.outputs.find((name) => !tensors.has(name));
    if (missing !== undefined) return `the output ${missing} is missing`;
    const wanted = new Set(shard.outputs);
    const extra = names.find((name) => !wanted.has(name));
    if (extra !== undefined) return `the output ${extra} was not asked for`;
  }
  return submission.units === 1 ? undefined : `it counts ${submission.units} units where a run is one`;
}

function faultOfGeneration(shard: GenerateShard, promptTokens: number, submission: Submission, tensors: Tensors): string | undefined {
  const tokens = tensors.get('tokens');
  if (tokens === undefined || tensors.size !== 1) return 'it is not one tensor named tokens';
  if (tokens.type !== 'int64' || tokens.shape.length !== 1) return 'its tokens are not a list of int64';
  const ids = new DataView(tokens.data.buffer, tokens.data.byteOffset, tokens.data.byteLength);
  const count = tokens.data.byteLength / 8;
  if (count === 0) return 'it has no tokens';
  const limit = tokenLimit(promptTokens, shard.maxNewTokens, shard.decoder.maxPositions);
  if (count > limit) return `it has ${count} tokens where ${limit} are allowed`;
  for (let index = 0; index < count; index += 1) {
    const id = ids.getBigInt64(index * 8, true);
    if (id < 0n || id > BigInt(MAX_TOKEN_ID)) return `token ${index} has the id ${id}`;
    const last = index === count - 1;
    if (!last && shard.stopTokens.includes(Number(id))) return `it goes on after the stop token at ${index}`;
    if (last && count < limit && !shard.stopTokens.includes(Number(id))) {
      return `it ends after ${count} tokens without a stop token`;
    }
  }
  const units = shard.price.unit === 'token' ? count : 1;
  return submission.units === units ? undefined : `it counts ${submission.units} units where it has ${units}`;
}
