import type { BlobRef } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { ModelManifest } from '../contract/model.ts';
import { modelDigest } from './digest.ts';

export const MAX_MANIFEST_BYTES = 1 << 20;

/**
 * Reads a manifest whose bytes have the digest asked for.
 * @throws MODEL_INVALID where it is not in canonical form, lists a path twice (on a disk that ignores case, too) or lacks its entry
 */
export function parseManifest(ref: Pick<BlobRef, 'digest'>, bytes: Uint8Array): ModelManifest {
  const invalid = (detail: string) => new HearthlendError('MODEL_INVALID', { detail: `its manifest ${detail}` });
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw invalid('is not JSON');
  }
  const parsed = ModelManifest.safeParse(json);
  if (!parsed.success) throw invalid(`has a malformed ${parsed.error.issues[0]?.path.join('.')}`);
  const manifest = parsed.data;
  if (modelDigest(manifest) !== ref.digest) throw invalid('is not in canonical form');
  const folded = manifest.files.map(({ path }) => path.normalize('NFC').toLowerCase()).sort();
  folded.forEach((path, at) => {
    const next = folded[at + 1];
    if (next === path) throw invalid(`lists ${path} twice`);
  });
  const folders = new Set(folded.flatMap((path) => [...path.matchAll(/\//g)].map(({ index }) => path.slice(0, index))));
  const both = folded.find((path) => folders.has(path));
  if (both !== undefined) throw invalid(`lists ${both} as a file and as a folder`);
  const sizes = new Map<string, number>();
  for (const { path, digest, bytes: size } of manifest.files) {
    if ((sizes.get(digest) ?? size) !== size) throw invalid(`gives ${path} a size that disagrees with its digest`);
    sizes.set(digest, size);
  }
  if (!manifest.files.some(({ path }) => path === manifest.entry)) throw invalid('does not list its entry');
  return manifest;
}

/** Each distinct blob of a model once, however many of its paths have it. */
export function blobsOf(manifest: ModelManifest): BlobRef[] {
  return [...new Map(manifest.files.map(({ digest, bytes }) => [digest, { digest, bytes }])).values()];
}
