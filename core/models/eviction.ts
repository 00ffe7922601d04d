import type { Sha256 } from '../contract/digest.ts';

/** A stored model as eviction sees it. */
export interface Evictable {
  digest: Sha256;
  lastUsed: number;
  inUse: boolean;
  blobs: readonly Sha256[];
}

/**
 * Which models to give up, least recently used first, so that `wantedBytes` come free; null where even all of those not in use don't suffice.
 * A blob that a remaining model shares frees nothing.
 * @param blobBytes sizes of the blobs that take room
 */
export function chooseEvictions(
  models: readonly Evictable[],
  blobBytes: ReadonlyMap<Sha256, number>,
  wantedBytes: number,
): Sha256[] | null {
  const users = new Map<Sha256, number>();
  for (const { blobs } of models) for (const blob of new Set(blobs)) users.set(blob, (users.get(blob) ?? 0) + 1);
  const chosen: Sha256[] = [];
  let freed = 0;
  const idle = models
    .filter(({ inUse, blobs }) => !inUse && blobs.some((blob) => blobBytes.has(blob)))
    .toSorted((a, b) => a.lastUsed - b.lastUsed);
  for (const model of idle) {
    if (freed >= wantedBytes) break;
    chosen.push(model.digest);
    for (const blob of new Set(model.blobs)) {
      const left = (users.get(blob) ?? 1) - 1;
      users.set(blob, left);
      if (left === 0) freed += blobBytes.get(blob) ?? 0;
    }
  }
  return freed >= wantedBytes ? chosen : null;
}
