import { rmSync } from 'node:fs';
import { rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobRef, Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelManifest } from '../contract/model.ts';
import { hashFile } from './digest.ts';
import { chooseEvictions, type Evictable } from './eviction.ts';
import { type FetchBlob, fetchBlob, STALL_MS } from './fetch.ts';
import { blobsOf, MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts';
import { onDisk, placeBlob } from './place.ts';
import { readShelves, type Shelves, type StoredFacts, shelvesIn, sizesIn, writeManifest } from './shelves.ts';

/** A model whose every byte was verified in this process. Its files stay until `release`, which may be called more than once. */
export interface StoredModel {
  digest: Sha256;
  manifest: ModelManifest;
  /** The manifest's paths → where they lie on this machine. Not to be written to: they may be second names of other files. */
  files: ReadonlyMap<string, string>;
  release(): void;
}

export interface ModelStore {
  /**
   * Has a model ready, fetching what is missing. Calls for one model at the same time share one fetch (the first caller's).
   * @throws DIGEST_MISMATCH, MODEL_INVALID, MODEL_TOO_LARGE, BLOB_TRUNCATED, BLOB_MISSING, DISK_FULL, DATA_DIR_UNWRITABLE, and what `fetch` throws
   */
  ensure(ref: BlobRef, fetch: FetchBlob): Promise<StoredModel>;
  /** Bytes of disk that models take here. Files that are only linked take none. */
  usedBytes(): number;
}

/**
 * Opens the folder of models that come from networks. It holds at most `diskBytes` of them; the least recently used go first, never one in use.
 *
 * Trust: nothing that a former process wrote is believed. Each file is hashed at its first use after a start; after that its device, inode,
 * size and modification time stand for it. A file of this machine that a network names is linked, not copied: it counts as no disk, and the
 * link goes with the last release, so that deleting the original gives its space back.
 * @throws DISK_FULL, DATA_DIR_UNWRITABLE
 */
export async function createModelStore(options: { dir: string; diskBytes: number; stallMs?: number }): Promise<ModelStore> {
  const shelves = shelvesIn(options.dir);
  const { models, blobs } = await onDisk(options.dir, () => readShelves(shelves));
  const store = new Store(shelves, options.diskBytes, options.stallMs ?? STALL_MS, models, blobs);
  await store.shrink();
  return store;
}

class Store implements ModelStore {
  readonly #shelves: Shelves;
  readonly #diskBytes: number;
  readonly #stallMs: number;
  readonly #models: Map<Sha256, StoredFacts>;
  /** Sizes of the blobs that take disk here, those being fetched included. */
  readonly #blobs: Map<Sha256, number>;
  readonly #holders = new Map<Sha256, number>();
  readonly #loading = new Map<Sha256, Promise<Map<Sha256, string>>>();
  readonly #placing = new Map<Sha256, Promise<string>>();
  #room: Promise<void> = Promise.resolve();

  constructor(shelves: Shelves, diskBytes: number, stallMs: number, models: Map<Sha256, StoredFacts>, blobs: Map<Sha256, number>) {
    this.#shelves = shelves;
    this.#diskBytes = diskBytes;
    this.#stallMs = stallMs;
    this.#models = models;
    this.#blobs = blobs;
  }

  async ensure(ref: BlobRef, fetch: FetchBlob): Promise<StoredModel> {
    const release = this.#hold(ref.digest);
    try {
      let loading = this.#loading.get(ref.digest);
      if (loading === undefined) {
        loading = this.#load(ref, fetch).finally(() => this.#loading.delete(ref.digest));
        this.#loading.set(ref.digest, loading);
      }
      const places = await loading;
      const { manifest } = this.#models.get(ref.digest) as StoredFacts;
      const files = new Map(manifest.files.map(({ path, digest }) => [path, places.get(digest) as string]));
      return { digest: ref.digest, manifest, files, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  usedBytes(): number {
    return total(this.#blobs);
  }

  /** Gives up models until what is there fits; for a limit that was lowered between two starts. */
  async shrink(): Promise<void> {
    const excess = this.usedBytes() - this.#diskBytes;
    if (excess > 0) await this.#evict(chooseEvictions(this.#evictable(), this.#blobs, excess) ?? []);
  }

  #hold(digest: Sha256): () => void {
    this.#holders.set(digest, (this.#holders.get(digest) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#holders.get(digest) ?? 1) - 1;
      if (left > 0) this.#holders.set(digest, left);
      else {
        this.#holders.delete(digest);
        this.#forgetLinks(digest);
      }
    };
  }

  async #load(ref: BlobRef, fetch: FetchBlob): Promise<Map<Sha256, string>> {
    // Models being given up just now are gone for good before this one looks what is there.
    await this.#room;
    let facts = this.#models.get(ref.digest);
    if (facts === undefined) {
      if (ref.bytes > MAX_MANIFEST_BYTES) throw new HearthlendError('MODEL_INVALID', { detail: 'its manifest is larger than 1 MiB' });
      const manifest = parseManifest(ref, await fetchBlob(ref, fetch, MAX_MANIFEST_BYTES, this.#stallMs));
      // Before its blobs, so that no blob is ever there that no manifest names.
      await onDisk(this.#manifestPath(ref.digest), () => writeManifest(this.#manifestPath(ref.digest), manifest));
      facts = { manifest, lastUsed: 0 };
      this.#models.set(ref.digest, facts);
    }
    facts.lastUsed = Math.max(Date.now(), ...[...this.#models.values()].map(({ lastUsed }) => lastUsed + 1));
    const usedAt = new Date(facts.lastUsed);
    await onDisk(this.#shelves.models, () => utimes(this.#manifestPath(ref.digest), usedAt, usedAt));
    await this.#room;
    const places = new Map<Sha256, string>();
    for (const blob of blobsOf(facts.manifest)) places.set(blob.digest, await this.#blob(blob, fetch));
    return places;
  }

  #manifestPath(digest: Sha256): string {
    return join(this.#shelves.models, `${digest}.json`);
  }

  #blob(blob: BlobRef, fetch: FetchBlob): Promise<string> {
    let placing = this.#placing.get(blob.digest);
    if (placing === undefined) {
      placing = this.#findOrPlace(blob, fetch).finally(() => this.#placing.delete(blob.digest));
      this.#placing.set(blob.digest, placing);
    }
    return placing;
  }

  async #findOrPlace(blob: BlobRef, fetch: FetchBlob): Promise<string> {
    const places = this.#places(blob.digest);
    for (const path of [places.blob, places.linked]) if (await this.#isWhole(blob, path)) return path;
    this.#blobs.delete(blob.digest);
    // Its part file may be on the list of those being dropped, which was made before this one was asked for.
    await this.#room;
    try {
      const path = await placeBlob(blob, fetch, places, () => this.#reserve(blob), this.#stallMs);
      if (path === places.linked) this.#blobs.delete(blob.digest);
      return path;
    } catch (error) {
      this.#blobs.delete(blob.digest);
      throw error;
    }
  }

  #places(digest: Sha256) {
    const { blobs, linked, parts } = this.#shelves;
    return { blob: join(blobs, digest), linked: join(linked, digest), part: join(parts, `${digest}.part`) };
  }

  /** Whether a file is there and is what its name says; one that isn't is removed, to be fetched again. */
  async #isWhole(blob: BlobRef, path: string): Promise<boolean> {
    const there = await stat(path).catch(() => undefined);
    if (there === undefined) return false;
    if (there.size === blob.bytes && (await hashFile(path)).digest === blob.digest) return true;
    await onDisk(path, () => rm(path, { force: true }));
    return false;
  }

  /** Makes room for a blob and counts it. One at a time, so that two never count on the same room. */
  #reserve(blob: BlobRef): Promise<void> {
    const reserving = this.#room.then(async () => {
      const parts = await onDisk(this.#shelves.parts, () => this.#idleParts());
      if (this.usedBytes() + total(parts) + blob.bytes > this.#diskBytes) await this.#dropIdleParts(parts);
      const free = this.#diskBytes - this.usedBytes();
      if (free < blob.bytes) {
        const chosen = chooseEvictions(this.#evictable(), this.#blobs, blob.bytes - free);
        if (chosen === null) throw new HearthlendError('MODEL_TOO_LARGE', { bytes: blob.bytes, limit: Math.max(0, free) });
        await this.#evict(chosen);
      }
      this.#blobs.set(blob.digest, blob.bytes);
    });
    this.#room = reserving.catch(() => undefined);
    return reserving;
  }

  /** What is left of downloads that nobody goes on with just now: the first to go when room is short. */
  async #idleParts(): Promise<Map<string, number>> {
    const parts = await sizesIn(this.#shelves.parts);
    for (const digest of this.#placing.keys()) parts.delete(`${digest}.part`);
    return parts;
  }

  async #dropIdleParts(parts: Map<string, number>): Promise<void> {
    for (const name of parts.keys()) await onDisk(this.#shelves.parts, () => rm(join(this.#shelves.parts, name), { force: true }));
  }

  #evictable(): Evictable[] {
    return [...this.#models].map(([digest, { manifest, lastUsed }]) => ({
      digest,
      lastUsed,
      inUse: this.#holders.has(digest),
      blobs: manifest.files.map((file) => file.digest),
    }));
  }

  async #evict(digests: readonly Sha256[]): Promise<void> {
    const evicted = digests.map((digest) => [digest, blobsOf((this.#models.get(digest) as StoredFacts).manifest)] as const);
    for (const digest of digests) this.#models.delete(digest);
    const kept = new Set([...this.#models.values()].flatMap(({ manifest }) => manifest.files.map((file) => file.digest)));
    for (const [digest, blobs] of evicted) {
      for (const blob of blobs) {
        if (kept.has(blob.digest)) continue;
        const path = this.#places(blob.digest).blob;
        await onDisk(path, () => rm(path, { force: true }));
        this.#blobs.delete(blob.digest);
      }
      // After its blobs, so that a kill in between leaves no blob without a manifest.
      const path = this.#manifestPath(digest);
      await onDisk(path, () => rm(path, { force: true }));
    }
  }

  /** Takes away the links of a model that nobody holds any more, and the model itself where nothing else of it is here. */
  #forgetLinks(digest: Sha256): void {
    const facts = this.#models.get(digest);
    if (facts === undefined) return;
    const held = new Set(
      [...this.#holders.keys()].flatMap((other) => this.#models.get(other)?.manifest.files.map((file) => file.digest) ?? []),
    );
    const blobs = blobsOf(facts.manifest);
    for (const blob of blobs) if (!held.has(blob.digest)) removeNow(this.#places(blob.digest).linked);
    if (blobs.some((blob) => this.#blobs.has(blob.digest))) return;
    this.#models.delete(digest);
    removeNow(this.#manifestPath(digest));
  }
}

function total(sizes: ReadonlyMap<string, number>): number {
  let bytes = 0;
  for (const size of sizes.values()) bytes += size;
  return bytes;
}

/** Removes a small file at once. One that a system won't let go of yet is cleared away at the next start. */
function removeNow(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // See above; release() is called where nobody could do anything about it.
  }
}
