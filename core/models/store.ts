import { rmSync } from 'node:fs';
import { mkdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobRef, Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelManifest } from '../contract/model.ts';
import type { AddedModel } from '../contract/models.ts';
import { hashFile, rememberDigest } from './digest.ts';
import { type FetchBlob, fetchBlob, STALL_MS } from './fetch.ts';
import { blobsOf, MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts';
import { onDisk, placeBlob } from './place.ts';
import { readShelves, type StoredFacts, shelvesIn, writeRecord } from './shelves.ts';
import { Stock } from './stock.ts';

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
  /** What the owner added, by name. */
  added(): AddedModel[];
  /**
   * Promises disk to a download of the owner's, and gives it a folder to put its parts in. May be called again when more turns out to be needed.
   * @throws MODEL_TOO_LARGE, DISK_FULL, DATA_DIR_UNWRITABLE
   */
  promise(folder: string, bytes: number): Promise<string>;
  /** Bytes that a download of the owner's could take beside what is kept and promised, once everything else was given up. */
  roomBytes(): number;
  /** Takes such a promise back. The parts stay for the next try, or go. */
  giveUp(folder: string, keepParts: boolean): Promise<void>;
  /** Whether a blob is here, as far as its name and size say. */
  has(blob: BlobRef): boolean;
  /** Whether a blob is here, every byte of it verified; it then stays at least until `keep` or `giveUp` of the download that counts on it. */
  claim(folder: string, blob: BlobRef): Promise<boolean>;
  /** Where a blob lies that was claimed. */
  pathOf(digest: Sha256): string;
  /**
   * Takes a verified download into the store, to be kept until `remove`. It is there as a whole or not at all.
   * @param parts where the files lie that are not here yet, by their digests
   * @throws DISK_FULL, DATA_DIR_UNWRITABLE
   */
  keep(folder: string, model: AddedModel, parts: ReadonlyMap<Sha256, string>): Promise<void>;
  /** @throws MODEL_UNKNOWN, MODEL_IN_USE, DATA_DIR_UNWRITABLE */
  remove(digest: Sha256): Promise<void>;
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
  readonly #stock: Stock;
  readonly #stallMs: number;
  readonly #loading = new Map<Sha256, Promise<Map<Sha256, string>>>();
  readonly #placing = new Map<Sha256, Promise<string>>();

  constructor(stock: Stock, stallMs: number) {
    this.#stock = stock;
    this.#stallMs = stallMs;
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

  usedBytes(): number {
    return this.#stock.usedBytes();
  }

  added(): AddedModel[] {
    return [...this.#stock.added.values()].sort((a, b) => a.name.localeCompare(b.name) || a.addedAt - b.addedAt);
  }

  async keep(folder: string, model: AddedModel, parts: ReadonlyMap<Sha256, string>): Promise<void> {
    const stock = this.#stock;
    const { digest, entry, files } = model;
    await stock.settled;
    const release = this.#hold(digest);
    const known = stock.models.has(digest);
    try {
      const manifest: ModelManifest = { format: 'onnx', entry, files };
      // Before its blobs, so that no blob is ever there that no manifest names.
      stock.models.set(digest, { manifest, lastUsed: model.addedAt });
      await onDisk(stock.manifestPath(digest), () => writeRecord(stock.manifestPath(digest), manifest));
      for (const blob of blobsOf(manifest)) {
        const [part, path] = [parts.get(blob.digest), stock.blobPath(blob.digest)];
        if (part === undefined) continue;
        await onDisk(path, () => rename(part, path));
        await rememberDigest(path, blob.digest);
        stock.blobs.set(blob.digest, blob.bytes);
      }
      // Last: from here on it is the owner's, and kept.
      await onDisk(stock.addedPath(digest), () => writeRecord(stock.addedPath(digest), model));
      stock.added.set(digest, model);
    } catch (error) {
      // Nothing half-placed: not even a model that would go by itself one day.
      if (!known) await stock.evict([digest]);
      throw error;
    } finally {
      release();
      stock.promised.delete(folder);
      stock.claimed.delete(folder);
    }
    await onDisk(stock.shelves.downloads, () => rm(join(stock.shelves.downloads, folder), { recursive: true, force: true }));
  }

  async promise(folder: string, bytes: number): Promise<string> {
    const stock = this.#stock;
    const path = join(stock.shelves.downloads, folder);
    const before = stock.promised.get(folder) ?? 0;
    if (!stock.promised.has(folder)) stock.promised.set(folder, 0);
    try {
      if (bytes > before)
        await stock.reserve(
          bytes - before,
          () => this.#busyParts(),
          () => void stock.promised.set(folder, bytes),
        );
      await onDisk(path, () => mkdir(path, { recursive: true, mode: 0o700 }));
    } catch (error) {
      if (before === 0) stock.promised.delete(folder);
      throw error;
    }
    return path;
  }

  async giveUp(folder: string, keepParts: boolean): Promise<void> {
    this.#stock.promised.delete(folder);
    this.#stock.claimed.delete(folder);
    const path = join(this.#stock.shelves.downloads, folder);
    if (!keepParts) await onDisk(path, () => rm(path, { recursive: true, force: true }));
  }

  roomBytes(): number {
    return this.#stock.roomBytes();
  }

  has({ digest, bytes }: BlobRef): boolean {
    return this.#stock.blobs.get(digest) === bytes && !this.#placing.has(digest);
  }

  async claim(folder: string, blob: BlobRef): Promise<boolean> {
    const { claimed, settled } = this.#stock;
    await settled;
    if (!this.has(blob)) return false;
    // First, so that it isn't given up while it is read.
    const claims = claimed.get(folder) ?? new Set();
    claimed.set(folder, claims.add(blob.digest));
    if (await this.#isWhole(blob, this.#stock.blobPath(blob.digest))) return true;
    claims.delete(blob.digest);
    this.#stock.blobs.delete(blob.digest);
    return false;
  }

  pathOf(digest: Sha256): string {
    return this.#stock.blobPath(digest);
  }

  async remove(digest: Sha256): Promise<void> {
    const { added, holders, models } = this.#stock;
    const model = added.get(digest);
    if (model === undefined) throw new HearthlendError('MODEL_UNKNOWN', { model: digest });
    if (holders.has(digest)) throw new HearthlendError('MODEL_IN_USE', { model: model.name });
    const path = this.#stock.addedPath(digest);
    await this.#stock.settled;
    added.delete(digest);
    await onDisk(path, () => rm(path, { force: true }));
    if (models.has(digest)) await this.#stock.evict([digest]);
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
    for (const path of [places.blob, places.linked]) if (await this.#isWhole(blob, path)) return path;
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

  /** Whether a file is there and is what its name says; one that isn't is removed, to be fetched again. */
  async #isWhole(blob: BlobRef, path: string): Promise<boolean> {
    const there = await stat(path).catch(() => undefined);
    if (there === undefined) return false;
    if (there.size === blob.bytes && (await hashFile(path)).digest === blob.digest) return true;
    await onDisk(path, () => rm(path, { force: true }));
    return false;
  }

  #busyParts(): string[] {
    return [...this.#placing.keys()].map((digest) => `${digest}.part`);
  }

  #reserve(blob: BlobRef): Promise<void> {
    return this.#stock.reserve(
      blob.bytes,
      () => this.#busyParts(),
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
