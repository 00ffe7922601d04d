import { z } from 'zod';
import { BackendReport } from './backends.ts';
import { HardwareReport } from './hardware.ts';
import { IsolationReport } from './isolation.ts';
import { MessageRef } from './messages.ts';
import { Amount, AssetId } from './money.ts';
import { Address } from './receipt.ts';
import { NetworkId, ShardId } from './shard.ts';
import { ShardState } from './shard-state.ts';

/** The one state of the agent, with the sentence that says why and what will change it. */
export const AgentState = z.strictObject({
  name: z.enum(['starting', 'working', 'waiting', 'paused', 'proven', 'stopping', 'failed']),
  reason: MessageRef,
  since: z.int(),
  /** When it changes by itself; null where only the user or an event changes it. */
  until: z.int().nullable(),
});
export type AgentState = z.infer<typeof AgentState>;

/** The four numbers, always four, of one asset, since the beginning, in base units. */
export const AssetEarnings = z.strictObject({
  asset: AssetId,
  practice: z.boolean(),
  symbol: z.string().max(32),
  decimals: z.int().min(0).max(36),
  expected: Amount,
  accepted: Amount,
  promised: Amount,
  paid: Amount,
  acceptedShards: z.int().min(0),
  acceptedToday: Amount,
  acceptedShardsToday: z.int().min(0),
});
export type AssetEarnings = z.infer<typeof AssetEarnings>;

/** The shard being computed. Prompt and text only for practice and the owner's own work. */
export const CurrentShard = z.strictObject({
  shardId: ShardId,
  attempt: z.int(),
  network: NetworkId,
  origin: z.enum(['practice', 'own', 'network']),
  kind: z.enum(['onnx.run', 'onnx.generate']),
  startedAt: z.int(),
  prompt: z.string().nullable(),
  text: z.string().nullable(),
  tokens: z.int().min(0),
  maxNewTokens: z.int().nullable(),
});
export type CurrentShard = z.infer<typeof CurrentShard>;

/** One line of the task list. */
export const TaskRow = z.strictObject({
  shardId: ShardId,
  attempt: z.int(),
  network: NetworkId,
  origin: z.enum(['practice', 'own', 'network']),
  kind: z.enum(['onnx.run', 'onnx.generate']),
  state: ShardState,
  /** Why it ended so, where it didn't end in acceptance. */
  reason: MessageRef.nullable(),
  audited: z.boolean(),
  asset: AssetId,
  amount: Amount.nullable(),
  units: z.int().nullable(),
  runMs: z.number().nullable(),
  at: z.int(),
});
export type TaskRow = z.infer<typeof TaskRow>;

/** A stretch of the day (ms since 1970). What isn't covered is time in which the agent did not run or had nothing to do. */
export const DaySpan = z.strictObject({
  from: z.int(),
  to: z.int(),
  kind: z.enum(['worked', 'aside']),
  reason: MessageRef.nullable(),
});
export type DaySpan = z.infer<typeof DaySpan>;

/** Everything the first screen shows. Asked for once; then `changed` events replace its top-level fields. */
export const Snapshot = z.strictObject({
  version: z.string(),
  startedAt: z.int(),
  now: z.int(),
  state: AgentState,
  worker: z.strictObject({ address: Address }),
  networks: z.array(z.strictObject({ id: NetworkId, practice: z.boolean(), connected: z.boolean(), noWork: MessageRef.nullable() })),
  practice: z.strictObject({ acceptedToday: z.int(), shardsLeft: z.int(), msLeft: z.int() }),
  isolation: IsolationReport,
  hardware: HardwareReport.nullable(),
  /** What was proven to compute on this machine so far, and what computes now. */
  backends: BackendReport,
  /** CPU load of the worker, 0 to 1 of the threads it may use; null while it computes nothing. */
  load: z.number().min(0).max(1).nullable(),
  current: CurrentShard.nullable(),
  recent: z.array(TaskRow).max(50),
  earnings: z.array(AssetEarnings).max(64),
  day: z.strictObject({ start: z.int(), end: z.int(), spans: z.array(DaySpan).max(2000) }),
});
export type Snapshot = z.infer<typeof Snapshot>;
