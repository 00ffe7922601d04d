import type { Sha256 } from '../contract/digest.ts';
import { createSerial } from '../contract/serial.ts';
import type { WorkJournal, WorkSpool } from './ports.ts';

/** Results between being computed and being accepted. Two attempts may have the same bytes, which are then kept once, until the last is done. */
export interface Outputs {
  /** Makes the bytes durable, then records what refers to them; keeps nothing where that fails. */
  keep(results: readonly { digest: Sha256; bytes: Uint8Array }[], record: () => Promise<void>): Promise<void>;
  get(digest: Sha256, shardId: string): Promise<Uint8Array>;
  /** Deletes the bytes unless another attempt still refers to them. */
  drop(digests: readonly Sha256[]): Promise<void>;
}

/** Keeping and dropping take turns: in between, the bytes of one attempt could go with the end of another that has the same. */
export function createOutputs({ journal, spool }: { journal: WorkJournal; spool: WorkSpool }): Outputs {
  const inTurn = createSerial();
  async function removeUnneeded(digests: Iterable<Sha256>): Promise<void> {
    const unneeded = [...new Set(digests)].filter((digest) => !journal.isAwaited(digest));
    await Promise.all(unneeded.map((digest) => spool.remove(digest)));
  }
  return {
    keep: (results, record) =>
      inTurn(async () => {
        const bytesOf = new Map(results.map(({ digest, bytes }) => [digest, bytes]));
        try {
          await Promise.all(Array.from(bytesOf, ([digest, bytes]) => spool.put(digest, bytes)));
          await record();
        } catch (thrown) {
          // What nothing refers to would lie there until the next start. Where that fails as well, it does.
          await removeUnneeded(bytesOf.keys()).catch(() => undefined);
          throw thrown;
        }
      }),
    get: (digest, shardId) => spool.get(digest, shardId),
    drop: (digests) => inTurn(() => removeUnneeded(digests)),
  };
}
