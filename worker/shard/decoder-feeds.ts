import type { OnnxValue } from 'onnxruntime-node';
import type { DecoderLayout, IntegerType } from './decoder-layout.ts';
import type { Ort } from './session.ts';

/**
 * Tokens of a prompt that go in at once. Most graphs give the logits of all of them: eight thousand tokens of a vocabulary of 150,000 would take
 * 5 GB. It is no slower so.
 */
export const PIECE_TOKENS = 1024;

/** Everything but the cache, for some more tokens after `past` of them. @param keep of how many last tokens the logits are wanted */
export function decoderFeeds(ort: Ort, layout: DecoderLayout, past: number, ids: readonly number[], keep = 1): Record<string, OnnxValue> {
  const { inputIds, attentionMask, positionIds, logitsToKeep, cacheBranch } = layout;
  const seen = past + ids.length;
  const feeds: Record<string, OnnxValue> = { input_ids: integers(ort, inputIds, ids, [1, ids.length]) };
  if (attentionMask !== null) feeds.attention_mask = ones(ort, attentionMask, seen);
  if (positionIds !== null) {
    const positions = ids.map((_, at) => past + at);
    feeds.position_ids = integers(ort, positionIds, positions, [1, ids.length]);
  }
  if (logitsToKeep !== null) feeds[logitsToKeep.name] = integers(ort, logitsToKeep.type, [keep], logitsToKeep.shape);
  if (cacheBranch) feeds.use_cache_branch = new ort.Tensor('bool', Uint8Array.of(past > 0 ? 1 : 0), [1]);
  return feeds;
}

function ones(ort: Ort, type: IntegerType, count: number): OnnxValue {
  if (type === 'int32') return new ort.Tensor('int32', new Int32Array(count).fill(1), [1, count]);
  return new ort.Tensor('int64', new BigInt64Array(count).fill(1n), [1, count]);
}

function integers(ort: Ort, type: IntegerType, values: readonly number[], shape: number[]): OnnxValue {
  if (type === 'int32') return new ort.Tensor('int32', Int32Array.from(values), shape);
  return new ort.Tensor('int64', BigInt64Array.from(values, BigInt), shape);
}
