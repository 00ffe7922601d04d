import type { BackendName } from '../contract/backends.ts';
import type { BlobRef, Sha256 } from '../contract/digest.ts';
import type { HearthlendError } from '../contract/errors.ts';
import type { IsolationLevel } from '../contract/isolation.ts';
import type { MessageRef } from '../contract/messages.ts';
import type { ModelManifest } from '../contract/model.ts';
import type { LeaseRequest, Network, NetworkInfo, StageReply } from '../contract/network.ts';
import type { Address, ReceiptBatch, Signature, SignedBatch, WorkReceipt } from '../contract/receipt.ts';
import type { Lease, Shard } from '../contract/shard.ts';
import type { ShardState } from '../contract/shard-state.ts';

/** One attempt at one shard of one network: what everything is recorded under. */
export interface AttemptKey {
  network: string;
  shardId: string;
  attempt: number;
}

/** How an attempt ended without acceptance. `code` is an error code, or the reason of a release. */
export type AttemptEnd =
  | { state: 'released'; code: 'paused' | 'stopped' | 'crashed' | 'restart' }
  | { state: 'failed' | 'rejected'; code: string; detail: string }
  | { state: 'cancelled' | 'expired' | 'disputed' };

/**
 * The ledger as the work loop needs it. Each call is one transaction that a kill leaves whole; it throws DISK_FULL, LEDGER_BROKEN,
 * RECEIPT_INVALID. Where a power cut counts as well, `durable` is waited for: before a result is handed in, and before it is dropped here.
 */
export interface WorkJournal {
  leased(lease: Lease): void;
  fetched(key: AttemptKey): void;
  running(key: AttemptKey): void;
  /** Computed, and from here on submitted: a crash sends both again. */
  handingIn(results: readonly { key: AttemptKey; result: Result }[]): void;
  submitted(key: AttemptKey): void;
  /** In the order of their receipts. */
  accepted(answers: readonly Answer[]): void;
  /** Resolves when everything recorded so far outlasts a power cut. */
  durable(): Promise<void>;
  ended(key: AttemptKey, end: AttemptEnd): void;
  /** @throws BATCH_INVALID where the batch is not over the receipts recorded here, or not signed by the coordinator. */
  checkBatch(batch: SignedBatch, coordinator: Address): void;
  batchSigned(batch: SignedBatch, coordinator: Address): void;
  /** Attempts that a crash left open, oldest first. */
  unfinished(): OpenAttempt[];
  attemptState(key: AttemptKey): ShardState | undefined;
  /** Sequence of a network's last receipt recorded here, and of the last one that a co-signed batch covers; 0 for none. */
  receiptHead(network: string): number;
  lastBatched(network: string): number;
  receipts(network: string, first: number, last: number): WorkReceipt[];
  /** Whether a result with this digest still waits to be accepted, so that the spool must keep it. */
  isAwaited(outputs: Sha256): boolean;
}

/** A result as it is recorded. */
interface Result {
  commitment: Sha256;
  outputBytes: number;
  units: number;
  runMs: number;
}

/** A network's yes. */
interface Answer {
  key: AttemptKey;
  receipt: WorkReceipt;
  audited: boolean;
}

export interface OpenAttempt extends AttemptKey {
  state: ShardState;
  result: Result | null;
}

/** Payload bytes that must survive a crash until they are accepted. */
export interface WorkSpool {
  /** Where one that was put lies. */
  path(digest: Sha256): string;
  put(digest: Sha256, bytes: Uint8Array): Promise<void>;
  /** @throws SPOOL_LOST, DIGEST_MISMATCH */
  get(digest: Sha256, shardId: string): Promise<Uint8Array>;
  remove(digest: Sha256): Promise<void>;
}

/** A model whose every byte was verified, held until `release`. */
export interface HeldModel {
  digest: Sha256;
  manifest: ModelManifest;
  files: ReadonlyMap<string, string>;
  release(): void;
}

interface Computed {
  outputs: Uint8Array;
  commitment: Sha256;
  runMs: number;
  tokensMade: number;
  backend: BackendName;
}

export interface WorkPorts {
  clock(): number;
  /** Networks that are worked for. They may come and go while the loop runs: it is told by `add` and `remove`. */
  networks: readonly ConnectedNetwork[];
  /** In which order they are asked for a lease now; in that of `networks` where left out. */
  order?(practice: boolean): readonly Ask[];
  journal: WorkJournal;
  spool: WorkSpool;
  holdModel(network: Network, model: BlobRef): Promise<HeldModel>;
  fetchInputs(network: Network, inputs: BlobRef): Promise<Uint8Array>;
  /** Takes more than there are lanes: the next waits at its worker, and `onBegin` tells when that comes to it. */
  compute(
    task: { shard: Shard; model: HeldModel; inputs: Uint8Array },
    hooks: {
      onBegin: () => void;
      onToken: (token: number, index: number) => void;
      /** What a stage does next; see Network.exchange. */
      exchange: (step: number, outputs: Uint8Array | null) => Promise<StageReply>;
      signal: AbortSignal;
    },
  ): Promise<Computed>;
  /** How many more stages of decoders there is room for, beside what the lanes compute, and how large one may be. */
  stageRoom(): Pick<LeaseRequest, 'stages' | 'stageBytes'>;
  /** How many shards can be computed at once: one for each worker that has work to itself. */
  lanes(): number;
  warmModels(): Sha256[];
  isolation(): IsolationLevel;
  memoryBytes: number;
  signBatch(batch: ReceiptBatch): Signature;
  /** Called for what the screen shows; must not throw. */
  onChange(change: WorkChange): void;
}

/** One network to be asked for a lease. `took`: why it was, before the others, should it lend one. */
export interface Ask {
  from: ConnectedNetwork;
  practice: boolean;
  took?: MessageRef;
}

export interface ConnectedNetwork {
  network: Network;
  info: NetworkInfo;
  /** Whether its work may run here just now: the isolation that this machine has is one that both sides accept. */
  admitted(): boolean;
  /** Why it is not asked for work just now: it owes too much. Null where there is no reason; left out where there never is. */
  refusal?(): MessageRef | null;
  /** What the user decided of it and what this machine has for it, as part of each request; nothing where left out. */
  wishes?(): Pick<LeaseRequest, 'floors' | 'refusedCategories' | 'backends' | 'diskModels'>;
  /** Whether a model was its work before: a stranger is told of no others that are here. All of them where left out. */
  knows?(model: Sha256): boolean;
}

export type WorkChange =
  | { type: 'took'; shard: Shard; reason: MessageRef }
  | { type: 'started'; shard: Shard; attempt: number; inputs: Uint8Array }
  | { type: 'token'; shard: Shard; attempt: number; token: number; index: number }
  | { type: 'computed'; shard: Shard; attempt: number }
  | { type: 'ended'; shard: Shard | null; key: AttemptKey; end: AttemptEnd | { state: 'accepted' } }
  | { type: 'no-work'; network: string; reason: MessageRef | null }
  | { type: 'fault'; network: string | null; reason: MessageRef | null; error: HearthlendError | null }
  | { type: 'backing-off'; until: number; failures: number }
  | { type: 'idle' };
