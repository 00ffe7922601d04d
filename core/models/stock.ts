import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { AddedModel } from '../contract/models.ts';
import { chooseEvictions } from './eviction.ts';
import { blobsOf } from './manifest.ts';
import { onDisk } from './place.ts';
import { type Shelves, type StoredFacts, sizesIn, subfoldersOf, total } from './shelves.ts';

/** What the store's folders hold, and what of it may go to make room. */
export class Stock {
  readonly shelves: Shelves;
  readonly models: Map<Sha256, StoredFacts>;
  /** Sizes of the blobs that take disk here, those being fetched included. */
  readonly blobs: Map<Sha256, number>;
  /** What the owner added: never given up for room. */
  readonly added: Map<Sha256, AddedModel>;
  readonly holders = new Map<Sha256, number>();
  /** Bytes that downloads of the owner's will take, by their folder's name. */
  readonly promised = new Map<string, number>();
  /** Blobs here that downloads of the owner's count on, by their folder's name. */
  readonly claimed = new Map<string, Set<Sha256>>();
  readonly #diskBytes: number;
  #room: Promise<void> = Promise.resolve();

  constructor(
    shelves: Shelves,
    diskBytes: number,
    there: { models: Map<Sha256, StoredFacts>; blobs: Map<Sha256, number>; added: Map<Sha256, AddedModel> },
  ) {
    this.shelves = shelves;
    this.#diskBytes = diskBytes;
    this.models = there.models;
    this.blobs = there.blobs;
    this.added = there.added;
  }

  usedBytes(): number {
    return total(this.blobs) + total(this.promised);
  }

  /** Settled once nothing is being given up any more. */
  get settled(): Promise<void> {
    return this.#room;
  }

  manifestPath(digest: Sha256): string {
    return join(this.shelves.models, `${digest}.json`);
  }

  addedPath(digest: Sha256): string {
    return join(this.shelves.added, `${digest}.json`);
  }

  blobPath(digest: Sha256): string {
    return join(this.shelves.blobs, digest);
  }

  /** Gives up models until what is there fits; for a limit that was lowered between two starts. */
  async shrink(): Promise<void> {
    const excess = this.usedBytes() - this.#diskBytes;
    if (excess > 0) await this.evict(chooseEvictions(this.#evictable(), this.blobs, excess) ?? []);
  }

  /**
   * Makes room for `bytes` and counts them with `take`. One at a time, so that two never count on the same room.
   * @param busyParts part files that somebody goes on with
   * @throws MODEL_TOO_LARGE, DISK_FULL, DATA_DIR_UNWRITABLE
   */
  reserve(bytes: number, busyParts: () => Iterable<string>, take: () => void): Promise<void> {
    const reserving = this.#room.then(async () => {
      const idle = await onDisk(this.shelves.parts, () => this.#idleDownloads(busyParts()));
      if (this.usedBytes() + total(idle) + bytes > this.#diskBytes) {
        for (const path of idle.keys()) await onDisk(path, () => rm(path, { recursive: true, force: true }));
      }
      const free = this.#diskBytes - this.usedBytes();
      if (free < bytes) {
        const chosen = chooseEvictions(this.#evictable(), this.blobs, bytes - free);
        if (chosen === null) {
          const limit = this.roomBytes();
          throw new HearthlendError('MODEL_TOO_LARGE', { bytes, limit, missing: Math.max(0, bytes - limit) });
        }
        await this.evict(chosen);
      }
      take();
    });
    this.#room = reserving.catch(() => undefined);
    return reserving;
  }

  async evict(digests: readonly Sha256[]): Promise<void> {
    const evicted = digests.map((digest) => [digest, blobsOf((this.models.get(digest) as StoredFacts).manifest)] as const);
    for (const digest of digests) this.models.delete(digest);
    const kept = this.#claims();
    for (const { manifest } of this.models.values()) for (const file of manifest.files) kept.add(file.digest);
    for (const [digest, blobs] of evicted) {
      for (const blob of blobs) {
        if (kept.has(blob.digest)) continue;
        const path = this.blobPath(blob.digest);
        await onDisk(path, () => rm(path, { force: true }));
        this.blobs.delete(blob.digest);
      }
      // After its blobs, so that a kill in between leaves no blob without a manifest.
      const path = this.manifestPath(digest);
      await onDisk(path, () => rm(path, { force: true }));
    }
  }

  /** What there would be room for after everything that may go is gone. */
  roomBytes(): number {
    return Math.max(0, this.#diskBytes - this.#keptBytes());
  }

  /** What would still be here then. */
  #keptBytes(): number {
    const kept = new Set(
      [...this.models].flatMap(([digest, { manifest }]) => (this.#stays(digest) ? manifest.files.map((file) => file.digest) : [])),
    );
    const named = new Set([...this.models.values()].flatMap(({ manifest }) => manifest.files.map((file) => file.digest)));
    let bytes = total(this.promised);
    for (const [digest, size] of this.blobs) if (kept.has(digest) || !named.has(digest)) bytes += size;
    return bytes;
  }

  #stays(digest: Sha256): boolean {
    if (this.holders.has(digest) || this.added.has(digest)) return true;
    const claims = this.#claims();
    return claims.size > 0 && this.models.get(digest)?.manifest.files.some((file) => claims.has(file.digest)) === true;
  }

  #claims(): Set<Sha256> {
    return new Set([...this.claimed.values()].flatMap((digests) => [...digests]));
  }

  #evictable() {
    return [...this.models].map(([digest, { manifest, lastUsed }]) => ({
      digest,
      lastUsed,
      inUse: this.#stays(digest),
      blobs: manifest.files.map((file) => file.digest),
    }));
  }

  /** What is left of downloads that nobody goes on with just now, by path: the first to go when room is short. */
  async #idleDownloads(busyParts: Iterable<string>): Promise<Map<string, number>> {
    const { parts, downloads } = this.shelves;
    const busy = new Set(busyParts);
    const idle = new Map<string, number>();
    for (const [name, bytes] of await sizesIn(parts)) if (!busy.has(name)) idle.set(join(parts, name), bytes);
    for (const name of await subfoldersOf(downloads)) {
      if (!this.promised.has(name)) idle.set(join(downloads, name), total(await sizesIn(join(downloads, name))));
    }
    return idle;
  }
}

/** The names of the part files of blobs. */
export function partsOf(digests: Iterable<Sha256>): string[] {
  return [...digests].map((digest) => `${digest}.part`);
}
