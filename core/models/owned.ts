import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { BlobRef, Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelManifest } from '../contract/model.ts';
import type { AddedModel } from '../contract/models.ts';
import { rememberDigest } from './digest.ts';
import { blobsOf } from './manifest.ts';
import { isWhole, onDisk } from './place.ts';
import { writeRecord } from './shelves.ts';
import { partsOf, type Stock } from './stock.ts';

/** What the store itself knows of what it is doing just now. */
interface StoreHooks {
  hold(digest: Sha256): () => void;
  /** Blobs being fetched. */
  placing(): Iterable<Sha256>;
}

/** The models that the owner added: downloads on their way into the store, and what is kept until it is removed. */
export class OwnedModels {
  readonly #stock: Stock;
  readonly #hooks: StoreHooks;

  constructor(stock: Stock, hooks: StoreHooks) {
    this.#stock = stock;
    this.#hooks = hooks;
  }

  /** What the owner added, by name. */
  added(): AddedModel[] {
    return [...this.#stock.added.values()].sort((a, b) => a.name.localeCompare(b.name) || a.addedAt - b.addedAt);
  }

  /**
   * Takes a verified download into the store, to be kept until `remove`. It is there as a whole or not at all.
   * @param parts where the files lie that are not here yet, by their digests
   * @throws DISK_FULL, DATA_DIR_UNWRITABLE
   */
  async keep(folder: string, model: AddedModel, parts: ReadonlyMap<Sha256, string>): Promise<void> {
    const stock = this.#stock;
    const { digest, entry, files } = model;
    await stock.settled;
    const release = this.#hooks.hold(digest);
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

  /**
   * Promises disk to a download of the owner's, and gives it a folder to put its parts in. May be called again when more turns out to be needed.
   * @throws MODEL_TOO_LARGE, DISK_FULL, DATA_DIR_UNWRITABLE
   */
  async promise(folder: string, bytes: number): Promise<string> {
    const stock = this.#stock;
    const path = join(stock.shelves.downloads, folder);
    const before = stock.promised.get(folder) ?? 0;
    if (!stock.promised.has(folder)) stock.promised.set(folder, 0);
    try {
      if (bytes > before)
        await stock.reserve(
          bytes - before,
          () => partsOf(this.#hooks.placing()),
          () => void stock.promised.set(folder, bytes),
        );
      await onDisk(path, () => mkdir(path, { recursive: true, mode: 0o700 }));
    } catch (error) {
      if (before === 0) stock.promised.delete(folder);
      throw error;
    }
    return path;
  }

  /** Takes such a promise back. The parts stay for the next try, or go. */
  async giveUp(folder: string, keepParts: boolean): Promise<void> {
    this.#stock.promised.delete(folder);
    this.#stock.claimed.delete(folder);
    const path = join(this.#stock.shelves.downloads, folder);
    if (!keepParts) await onDisk(path, () => rm(path, { recursive: true, force: true }));
  }

  /** Bytes that a download of the owner's could take beside what is kept and promised, once everything else was given up. */
  roomBytes(): number {
    return this.#stock.roomBytes();
  }

  /** Whether a blob is here, as far as its name and size say. */
  has({ digest, bytes }: BlobRef): boolean {
    return this.#stock.blobs.get(digest) === bytes && ![...this.#hooks.placing()].includes(digest);
  }

  /** Whether a blob is here, every byte of it verified; it then stays at least until `keep` or `giveUp` of the download that counts on it. */
  async claim(folder: string, blob: BlobRef): Promise<boolean> {
    const { claimed, settled } = this.#stock;
    await settled;
    if (!this.has(blob)) return false;
    // First, so that it isn't given up while it is read.
    const claims = claimed.get(folder) ?? new Set();
    claimed.set(folder, claims.add(blob.digest));
    if (await isWhole(blob, this.#stock.blobPath(blob.digest))) return true;
    claims.delete(blob.digest);
    this.#stock.blobs.delete(blob.digest);
    return false;
  }

  /** Where a blob lies that was claimed. */
  pathOf(digest: Sha256): string {
    return this.#stock.blobPath(digest);
  }

  /** @throws MODEL_UNKNOWN, MODEL_IN_USE, DATA_DIR_UNWRITABLE */
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
}
