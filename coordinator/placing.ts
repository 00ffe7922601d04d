import { createHash } from 'node:crypto';
import { canonicalJson, type Sha256 } from '../core/contract/digest.ts';
import { HearthlendError } from '../core/contract/errors.ts';
import type { LocalModel } from '../core/contract/jobs.ts';
import type { Blobs } from './blobs.ts';
import { type Holding, holderOf } from './holding.ts';

/** Models that stay in place for the next request, and for how long: a large one takes seconds to be read through. */
const KEPT_MODELS = 4;
const KEPT_MS = 600_000;

/** Puts models where workers fetch them from. */
export interface Placing {
  /** The bytes must be held already; with `keep` they stay for a while after that. @throws MODEL_NOT_FOUND, DIGEST_MISMATCH, DISK_FULL, FILE_UNREADABLE */
  put(model: LocalModel, keep: boolean): Promise<void>;
  close(): void;
}

export function createPlacing({ blobs, holding }: { blobs: Blobs; holding: Holding }): Placing {
  const kept = new Map<Sha256, { placed: Promise<void>; timer: NodeJS.Timeout }>();

  async function place({ manifest, files }: LocalModel, bytes: Uint8Array): Promise<void> {
    for (const { path, digest, bytes: size } of manifest.files) {
      const file = files.get(path);
      if (file === undefined) throw new HearthlendError('MODEL_NOT_FOUND', { path });
      await blobs.putFile(file, { digest, bytes: size });
    }
    await blobs.putBytes(bytes);
  }

  function drop(digest: Sha256): void {
    clearTimeout(kept.get(digest)?.timer);
    // What can't be let go of now is swept up at the next start.
    if (kept.delete(digest)) holding.letGo(holderOf.model(digest)).catch(() => undefined);
  }

  return {
    async put(model, keep) {
      const bytes = new TextEncoder().encode(canonicalJson(model.manifest));
      if (!keep) return place(model, bytes);
      const digest = createHash('sha256').update(bytes).digest('hex');
      const known = kept.get(digest);
      known?.timer.refresh();
      if (known !== undefined) return known.placed;
      const placed = holding
        .hold(holderOf.model(digest), [digest, ...model.manifest.files.map((file) => file.digest)])
        .then(() => place(model, bytes));
      placed.catch(() => drop(digest));
      kept.set(digest, { placed, timer: setTimeout(() => drop(digest), KEPT_MS).unref() });
      for (const oldest of [...kept.keys()].slice(0, -KEPT_MODELS)) drop(oldest);
      return placed;
    },
    close() {
      for (const { timer } of kept.values()) clearTimeout(timer);
      kept.clear();
    },
  };
}
