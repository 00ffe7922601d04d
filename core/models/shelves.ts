import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { canonicalJson, Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import type { ModelManifest } from '../contract/model.ts';
import { MAX_MANIFEST_BYTES, parseManifest } from './manifest.ts';

/** The store's folders: manifests, files of its own, second names of files elsewhere, and files that have not all come yet. */
export interface Shelves {
  models: string;
  blobs: string;
  linked: string;
  parts: string;
}

/** A model whose manifest is here. `lastUsed` in ms since 1970. */
export interface StoredFacts {
  manifest: ModelManifest;
  lastUsed: number;
}

/** A download that nobody went on with for this long is given up. */
const PART_KEPT_MS = 7 * 86_400_000;

export function shelvesIn(dir: string): Shelves {
  return { models: join(dir, 'models'), blobs: join(dir, 'blobs'), linked: join(dir, 'linked'), parts: join(dir, 'parts') };
}

/** Takes stock at the start, and clears away what a former process left: links, old part files, and whatever no manifest names. */
export async function readShelves(shelves: Shelves): Promise<{ models: Map<Sha256, StoredFacts>; blobs: Map<Sha256, number> }> {
  await rm(shelves.linked, { recursive: true, force: true });
  for (const folder of Object.values(shelves)) await mkdir(folder, { recursive: true, mode: 0o700 });

  const models = new Map<Sha256, StoredFacts>();
  for (const name of await readdir(shelves.models)) {
    const facts = await readManifest(join(shelves.models, name), name);
    if (facts === undefined) await rm(join(shelves.models, name), { recursive: true, force: true });
    else models.set(facts.digest, { manifest: facts.manifest, lastUsed: facts.lastUsed });
  }
  const named = new Map([...models.values()].flatMap(({ manifest }) => manifest.files.map(({ digest, bytes }) => [digest, bytes])));
  const blobs = await sizesIn(shelves.blobs);
  for (const [name, bytes] of blobs) {
    if (named.get(name) === bytes) continue;
    await rm(join(shelves.blobs, name), { recursive: true, force: true });
    blobs.delete(name);
  }
  for (const name of await readdir(shelves.parts)) {
    const path = join(shelves.parts, name);
    if (Date.now() - (await stat(path)).mtimeMs > PART_KEPT_MS) await rm(path, { recursive: true, force: true });
  }
  return { models, blobs };
}

/** File names in a folder with their sizes. What goes away meanwhile, since a part became whole, is left out. */
export async function sizesIn(folder: string): Promise<Map<string, number>> {
  const sizes = new Map<string, number>();
  for (const name of await readdir(folder)) {
    try {
      sizes.set(name, (await stat(join(folder, name))).size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return sizes;
}

/** Writes a manifest as a whole or not at all. */
export async function writeManifest(path: string, manifest: ModelManifest): Promise<void> {
  await writeFile(`${path}.new`, canonicalJson(manifest), { mode: 0o600 });
  await rename(`${path}.new`, path);
}

/** A stored manifest, where it is what its file name says. */
async function readManifest(path: string, name: string): Promise<(StoredFacts & { digest: Sha256 }) | undefined> {
  const digest = Sha256.safeParse(name.replace(/\.json$/, ''));
  const file = await stat(path);
  if (!digest.success || !name.endsWith('.json') || !file.isFile() || file.size > MAX_MANIFEST_BYTES) return undefined;
  const bytes = await readFile(path);
  try {
    return { digest: digest.data, manifest: parseManifest({ digest: digest.data }, bytes), lastUsed: file.mtimeMs };
  } catch (error) {
    if (error instanceof HearthlendError && error.code === 'MODEL_INVALID') return undefined;
    throw error;
  }
}
