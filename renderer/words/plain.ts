// The field's words to the screen's plain ones, mapped here and nowhere else. The field's own word stays one click deeper.
import { type MessageKey, message } from '../../core/contract/messages.ts';
import type { ShardState } from '../../core/contract/shard-state.ts';
import type { CurrentShard, TaskRow } from '../../core/contract/snapshot.ts';
import { say } from './say.ts';

const SHORT_ID_LENGTH = 6;

/** The part of a shard's id that tells it from others: its number, where it is a word and a number, else its end. */
export function shortId(shardId: string): string {
  return /^[a-z]+-(\d+)$/.exec(shardId)?.[1] ?? shardId.slice(-SHORT_ID_LENGTH);
}

export function shortAddress(address: string): string {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}

export function kindWord({ kind, origin }: Pick<CurrentShard, 'kind' | 'origin'>): string {
  if (kind === 'onnx.generate') return message(origin === 'own' ? 'screen.kind.your-text' : 'screen.kind.text');
  return message(origin === 'practice' ? 'screen.kind.scores' : 'screen.kind.model-run');
}

const OUTCOMES: Record<ShardState, MessageKey> = {
  leased: 'screen.outcome.leased',
  fetched: 'screen.outcome.fetched',
  running: 'screen.outcome.running',
  computed: 'screen.outcome.computed',
  submitted: 'screen.outcome.submitted',
  accepted: 'screen.outcome.accepted',
  vouched: 'screen.outcome.vouched',
  settled: 'screen.outcome.settled',
  disputed: 'screen.outcome.disputed',
  rejected: 'screen.outcome.rejected',
  released: 'screen.outcome.released',
  failed: 'screen.outcome.failed',
  cancelled: 'screen.outcome.cancelled',
  expired: 'screen.outcome.expired',
};

export function outcomeWords(task: Pick<TaskRow, 'state' | 'reason' | 'audited'>): string {
  if (task.reason !== null) return say(task.reason);
  if (task.state === 'accepted' && task.audited) return message('screen.outcome.accepted-audited');
  return message(OUTCOMES[task.state]);
}
