import { rmSync } from 'node:fs';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobRef, Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelManifest } from '../contract/model.ts';
import { type FetchBlob, fetchBlob, STALL_MS } from './fetch.ts';
import { blobsOf, MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts';
import { OwnedModels } from './owned.ts';
import { isWhole, onDisk, placeBlob } from './place.ts';
import { readShelves, type StoredFacts, shelvesIn, writeRecord } from './shelves.ts';
import { partsOf, Stock } from './stock.ts';

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
  /** Models all of whose files are kept here, by digest, the most recently used first. */
  kept(): Sha256[];
  /** Bytes of disk that models take here. Files that are only linked take none. */
  usedBytes(): number;
  /** The models that the owner added. */
  readonly owned: OwnedModels;
}

/**
 * Opens the folder of models. It holds at most `diskBytes` of them; the least recently used go first, never one in use or one that the owner added.
 *
 * Trust: nothing that a former process wrote is believed. Each file is hashed at its first use after a start; after that its device, inode,
 * size and modification time stand for it. A file of this machine that a network names is linked, not copied: it counts as no disk, and the
 * link goes with the last release, so that deleting the original gives its space back.
 * @throws DISK_FULL, DATA_DIR_UNWRITABLE
 */
export async function createModelStore(options: { dir: string; diskBytes: number; stallMs?: number }): Promise<ModelStore> {
  const shelves = shelvesIn(options.dir);
  const stock = new Stock(shelves, options.diskBytes, await onDisk(options.dir, () => readShelves(shelves)));
  await stock.shrink();
  return new Store(stock, options.stallMs ?? STALL_MS);
}

class Store implements ModelStore {
  readonly owned: OwnedModels;
  readonly #stock: Stock;
  readonly #stallMs: number;
  readonly #loading = new Map<Sha256, Promise<Map<Sha256, string>>>();
  readonly #placing = new Map<Sha256, Promise<string>>();

  constructor(stock: Stock, stallMs: number) {
    this.#stock = stock;
    this.#stallMs = stallMs;
    this.owned = new OwnedModels(stock, { hold: (digest) => this.#hold(digest), placing: () => this.#placing.keys() });
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
      const { manifest } = this.#stock.models.get(ref.digest) as StoredFacts;
      const files = new Map(manifest.files.map(({ path, digest }) => [path, places.get(digest) as string]));
      return { digest: ref.digest, manifest, files, release };
    } catch (error) {
      release();
      throw error;
    }
  }

  kept(): Sha256[] {
    const { models, blobs } = this.#stock;
    return [...models]
      .filter(([, { manifest }]) => blobsOf(manifest).every(({ digest }) => blobs.has(digest)))
      .sort(([, a], [, b]) => b.lastUsed - a.lastUsed)
      .map(([digest]) => digest);
  }

  usedBytes(): number {
    return this.#stock.usedBytes();
  }

  #hold(digest: Sha256): () => void {
    this.#stock.holders.set(digest, (this.#stock.holders.get(digest) ?? 0) + 1);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const left = (this.#stock.holders.get(digest) ?? 1) - 1;
      if (left > 0) this.#stock.holders.set(digest, left);
      else {
        this.#stock.holders.delete(digest);
        this.#forgetLinks(digest);
      }
    };
  }

  async #load(ref: BlobRef, fetch: FetchBlob): Promise<Map<Sha256, string>> {
    // Models being given up just now are gone for good before this one looks what is there.
    await this.#stock.settled;
    let facts = this.#stock.models.get(ref.digest);
    if (facts === undefined) {
      if (ref.bytes > MAX_MANIFEST_BYTES) throw new HearthlendError('MODEL_INVALID', { detail: 'its manifest is larger than 1 MiB' });
      const manifest = parseManifest(ref, await fetchBlob(ref, fetch, MAX_MANIFEST_BYTES, this.#stallMs));
      // Before its blobs, so that no blob is ever there that no manifest names.
      await onDisk(this.#stock.manifestPath(ref.digest), () => writeRecord(this.#stock.manifestPath(ref.digest), manifest));
      facts = { manifest, lastUsed: 0 };
      this.#stock.models.set(ref.digest, facts);
    }
    facts.lastUsed = Math.max(Date.now(), ...[...this.#stock.models.values()].map(({ lastUsed }) => lastUsed + 1));
    const usedAt = new Date(facts.lastUsed);
    await onDisk(this.#stock.shelves.models, () => utimes(this.#stock.manifestPath(ref.digest), usedAt, usedAt));
    await this.#stock.settled;
    const places = new Map<Sha256, string>();
    for (const blob of blobsOf(facts.manifest)) places.set(blob.digest, await this.#blob(blob, fetch));
    return places;
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
    for (const path of [places.blob, places.linked]) if (await isWhole(blob, path)) return path;
    this.#stock.blobs.delete(blob.digest);
    // Its part file may be on the list of those being dropped, which was made before this one was asked for.
    await this.#stock.settled;
    try {
      const path = await placeBlob(blob, fetch, places, () => this.#reserve(blob), this.#stallMs);
      if (path === places.linked) this.#stock.blobs.delete(blob.digest);
      return path;
    } catch (error) {
      this.#stock.blobs.delete(blob.digest);
      throw error;
    }
  }

  #places(digest: Sha256) {
    const { blobs, linked, parts } = this.#stock.shelves;
    return { blob: join(blobs, digest), linked: join(linked, digest), part: join(parts, `${digest}.part`) };
  }

  #reserve(blob: BlobRef): Promise<void> {
    return this.#stock.reserve(
      blob.bytes,
      () => partsOf(this.#placing.keys()),
      () => void this.#stock.blobs.set(blob.digest, blob.bytes),
    );
  }

  /** Takes away the links of a model that nobody holds any more, and the model itself where nothing else of it is here. */
  #forgetLinks(digest: Sha256): void {
    const facts = this.#stock.models.get(digest);
    if (facts === undefined) return;
    const held = new Set(
      [...this.#stock.holders.keys()].flatMap((other) => this.#stock.models.get(other)?.manifest.files.map((file) => file.digest) ?? []),
    );
    const blobs = blobsOf(facts.manifest);
    for (const blob of blobs) if (!held.has(blob.digest)) removeNow(this.#places(blob.digest).linked);
    if (blobs.some((blob) => this.#stock.blobs.has(blob.digest))) return;
    this.#stock.models.delete(digest);
    removeNow(this.#stock.manifestPath(digest));
  }
}

/** Removes a small file at once. One that a system won't let go of yet is cleared away at the next start. */
function removeNow(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // See above; release() is called where nobody could do anything about it.
  }
}
