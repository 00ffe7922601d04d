import { HearthlendError } from '../../contract/errors.ts';
import type { Shard } from '../../contract/shard.ts';
import type { ModelFacts } from './inspect.ts';

/** What a model may take here just now, in bytes. */
export interface Room {
  /** The least of what the shard and the user allow. */
  limitBytes: number;
  /** What the machine has free, the worker's own included; null where it isn't known. */
  freeBytes: number | null;
}

/**
 * Why a model may not be loaded for this work; null where it may. The owner's own files may hold any operator: whether there is such a one
 * ONNX Runtime says. Practice is held to strangers' rules. The bytes are what it takes at least, never all of it. Pure.
 */
export function judge(facts: ModelFacts, origin: Shard['origin'], room: Room): HearthlendError | null {
  if (facts.foreign !== null && origin !== 'own') return new HearthlendError('MODEL_OPERATOR_REFUSED', facts.foreign);
  // Whoever computes such a result again gets another one, and an honest worker would be blamed.
  if (facts.random !== null && origin !== 'own') return new HearthlendError('MODEL_OPERATOR_RANDOM', facts.random);
  const bytes = facts.weightBytes + facts.activationBytes;
  if (bytes > room.limitBytes) return new HearthlendError('MODEL_OVER_MEMORY', { bytes, limitBytes: room.limitBytes });
  if (room.freeBytes !== null && bytes > room.freeBytes) {
    return new HearthlendError('MODEL_OVER_FREE_MEMORY', { bytes, freeBytes: room.freeBytes });
  }
  return null;
}
