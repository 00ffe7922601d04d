import type { Sha256 } from '../core/contract/digest.ts';
import { createSerial } from '../core/contract/serial.ts';
import type { Blobs } from './blobs.ts';
import type { BlobHolds } from './store.ts';

/** Who holds which bytes: the inputs and model of a job that is open, its outputs, the inputs of a practice shard, the practice model. */
export const holderOf = {
  job: (jobId: string) => `job:${jobId}`,
  outputs: (jobId: string) => `outputs:${jobId}`,
  /** A model that is likely to be asked for again. */
  model: (digest: Sha256) => `model:${digest}`,
  practiceShard: (shardId: string) => `shard:${shardId}`,
  /** A shard of no job, made to be compared. */
  spareShard: (shardId: string) => `shard:${shardId}`,
  /** A shard that canaries are copied from, with its right answer. */
  canary: (shardId: string) => `canary:${shardId}`,
  /** What a machine gave for a shard by which it was measured. */
  measured: (shardId: string) => `measured:${shardId}`,
  appeal: ({ shardId, attempt }: { shardId: string; attempt: number }) => `appeal:${shardId}#${attempt}`,
  practiceModel: (digest: Sha256) => `practice-model:${digest}`,
};

/** Keeps bytes as long as somebody needs them. */
export interface Holding {
  /** To be called before the bytes are put, so that nobody removes them meanwhile. */
  hold(holder: string, digests: readonly Sha256[]): Promise<void>;
  /** Removes what nobody else holds. */
  letGo(holder: string): Promise<void>;
}

export function createHolding(store: BlobHolds, blobs: Blobs): Holding {
  // One at a time: bytes that are held from now on must not fall to a removal that was decided before.
  const serially = createSerial();
  return {
    hold: (holder, digests) => serially(() => store.hold(holder, digests)),
    letGo: (holder) =>
      serially(async () => {
        for (const digest of await store.letGo(holder)) await blobs.remove(digest);
      }),
  };
}
