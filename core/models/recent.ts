import { statSync } from 'node:fs';
import type { BlobRef, Sha256 } from '../contract/digest.ts';
import type { FetchBlob } from './fetch.ts';
import type { ModelStore, StoredModel } from './store.ts';

/** How long the model that was used last is kept at hand after its last shard. */
const KEEP_MS = 10_000;

interface Kept {
  model: StoredModel;
  holders: number;
  /** What its files were when they were verified. */
  facts: string;
}

/**
 * A store in front of the store: the model of the shards that come one after another is not put away and fetched again between them. Its
 * files are still looked at each time, and one that was touched is verified anew.
 */
export function keepRecent(store: ModelStore): Pick<ModelStore, 'ensure'> & { release(): void } {
  const kept = new Map<Sha256, Kept>();
  let timer: NodeJS.Timeout | undefined;

  function putAway(): void {
    for (const [digest, { model, holders }] of kept) {
      if (holders > 0) continue;
      kept.delete(digest);
      model.release();
    }
  }

  function hand(entry: Kept): StoredModel {
    clearTimeout(timer);
    entry.holders += 1;
    let held = true;
    return {
      ...entry.model,
      release() {
        if (!held) return;
        held = false;
        entry.holders -= 1;
        if (kept.get(entry.model.digest) !== entry) {
          // Replaced meanwhile: nobody comes for it again.
          if (entry.holders === 0) entry.model.release();
          return;
        }
        clearTimeout(timer);
        timer = setTimeout(putAway, KEEP_MS);
        timer.unref();
      },
    };
  }

  return {
    async ensure(ref: BlobRef, fetch: FetchBlob) {
      const found = kept.get(ref.digest);
      if (found !== undefined && found.facts === factsOf(found.model)) return hand(found);
      const model = await store.ensure(ref, fetch);
      const entry: Kept = { model, holders: 0, facts: factsOf(model) };
      const before = kept.get(ref.digest);
      kept.set(ref.digest, entry);
      const handed = hand(entry);
      // One that it replaces goes with its last holder, others once nobody holds them.
      if (before !== undefined && before.holders === 0) before.model.release();
      for (const [digest, other] of kept) {
        if (other === entry || other.holders > 0) continue;
        kept.delete(digest);
        other.model.release();
      }
      return handed;
    },
    release() {
      clearTimeout(timer);
      putAway();
    },
  };
}

/** Device, inode, size and times of every file; what is gone has none. */
function factsOf({ files }: StoredModel): string {
  return Array.from(files.values(), (path) => {
    const found = statSync(path, { throwIfNoEntry: false, bigint: true });
    return found === undefined ? '' : `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}`;
  }).join();
}
