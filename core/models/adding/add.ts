import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { type BlobRef, canonicalJson } from '../../contract/digest.ts';
import { HearthlendError } from '../../contract/errors.ts';
import type { AddedModel, HubAccess, ModelPlan } from '../../contract/models.ts';
import { readNeeds } from '../describe.ts';
import { modelDigest, sha256 } from '../digest.ts';
import type { OwnedModels } from '../owned.ts';
import { onDisk } from '../place.ts';
import { sizesIn, total } from '../shelves.ts';
import { listFolder } from './folder.ts';
import { listHub } from './hub.ts';
import { type BroughtFile, beside, chooseGraph, companionsOf, type ListedFile, type Listing, likelyData } from './listing.ts';
import { type Pace, USUAL_PACE } from './request.ts';
import { parseSource } from './source.ts';
import { listUrl } from './url.ts';

/** After these the next try goes on from what has come; after any other, nothing of it is kept. */
const RESUMABLE: ReadonlySet<string> = new Set(['DOWNLOAD_STALLED', 'DOWNLOAD_CUT_OFF', 'HUB_UNREACHABLE', 'HUB_REFUSED', 'CANCELLED']);

export interface AddRequest {
  source: string;
  /** Which graph; null where there is only one. */
  file: string | null;
  hub: HubAccess;
  /** The commit to take, where somebody looked at it before; null for what the source names now. */
  pin: string | null;
  acceptMissingLicence: boolean;
}

export interface AddPorts {
  store: OwnedModels;
  clock: () => number;
  signal: AbortSignal;
  /** Bytes here of all files together, and how many there will be. */
  onProgress(progress: { file: string; bytes: number; totalBytes: number }): void;
  pace?: Pace;
}

/** What `addModel` would fetch. @throws as addModel, before anything is fetched */
export async function planModel(
  request: Omit<AddRequest, 'acceptMissingLicence' | 'pin'>,
  ports: Pick<AddPorts, 'signal' | 'pace'>,
): Promise<ModelPlan> {
  const { listing, graph } = await look(request, ports);
  const files = wantedFiles(graph, [...likelyData(listing, graph.path), ...companionsOf(listing, graph.path)]);
  return {
    name: nameOf(listing, graph.path),
    origin: listing.origin,
    licence: listing.licence,
    entry: graph.path,
    files: files.map(({ path, bytes, digest }) => ({ path, bytes, digest: digest === null ? null : `${digest.type}:${digest.hex}` })),
    totalBytes: sum(files),
  };
}

/**
 * Fetches a model with everything that belongs to it, verified byte by byte, and gives it to the store as a whole. What a graph names as its
 * external data is taken from the graph itself, not guessed.
 * @throws MODEL_SOURCE_INVALID, MODEL_FILE_UNCLEAR, MODEL_LICENCE_MISSING, MODEL_TOO_LARGE, MODEL_INVALID, MODEL_DATA_MISSING, MODEL_PATH_UNSAFE,
 * MODEL_VALUE_UNSUPPORTED, MODEL_NOT_FOUND, FILE_UNREADABLE, HUB_*, DOWNLOAD_*, DIGEST_MISMATCH, DISK_FULL, DATA_DIR_UNWRITABLE, CANCELLED
 */
export async function addModel(request: AddRequest, ports: AddPorts): Promise<AddedModel> {
  const { listing, graph } = await look(request, ports);
  if (listing.needsLicence && listing.licence === null && !request.acceptMissingLicence) {
    throw new HearthlendError('MODEL_LICENCE_MISSING', { model: listing.name });
  }
  const { store } = ports;
  const folder = sha256(new TextEncoder().encode(canonicalJson([listing.origin, graph.path]))).slice(0, 32);
  try {
    const { files, parts } = await bringAll(listing, graph, folder, ports);
    const ordered = files.map(({ path, bytes, digest }) => ({ path, bytes, digest })).sort((a, b) => (a.path < b.path ? -1 : 1));
    const model: AddedModel = {
      digest: modelDigest({ format: 'onnx', entry: graph.path, files: ordered }),
      name: nameOf(listing, graph.path),
      origin: listing.origin,
      licence: listing.licence,
      addedAt: ports.clock(),
      entry: graph.path,
      files: ordered,
      bytes: sum(ordered),
    };
    await store.keep(folder, model, parts);
    return model;
  } catch (error) {
    await store.giveUp(folder, error instanceof HearthlendError && RESUMABLE.has(error.code));
    throw error;
  }
}

async function look(
  request: Pick<AddRequest, 'source' | 'file' | 'hub'> & { pin?: string | null },
  ports: Pick<AddPorts, 'signal' | 'pace'>,
) {
  const source = parseSource(request.source);
  const reach = { pace: ports.pace ?? USUAL_PACE, signal: ports.signal };
  if (source.type === 'path') {
    const { listing, entry } = await listFolder(source.path);
    return { listing, graph: chooseGraph(listing, entry ?? request.file) };
  }
  const listing =
    source.type === 'hub' ? await listHub(source, request.pin ?? source.revision, request.hub, reach) : listUrl(source, request.hub, reach);
  return { listing, graph: chooseGraph(listing, request.file ?? (source.type === 'hub' ? source.file : null)) };
}

/** Brings every file that isn't in the store already. The graph comes first: it says what else there must be. */
async function bringAll(
  listing: Listing,
  graph: ListedFile,
  folder: string,
  ports: AddPorts,
): Promise<{ files: BroughtFile[]; parts: Map<string, string> }> {
  const { store, onProgress } = ports;
  const foreseen = wantedFiles(graph, [...likelyData(listing, graph.path), ...companionsOf(listing, graph.path)]);
  const path = await store.promise(folder, missingBytes(store, foreseen));
  await requireFreeDisk(path, missingBytes(store, foreseen));
  const files: BroughtFile[] = [];
  const parts = new Map<string, string>();
  let totalBytes = sum(foreseen);

  const bring = async (file: ListedFile): Promise<BroughtFile> => {
    const before = sum(files);
    const known = knownBlob(file);
    if (known !== undefined && (await store.claim(folder, known))) {
      files.push({ path: file.path, ...known });
      onProgress({ file: file.path, bytes: before + known.bytes, totalBytes });
      return { path: file.path, ...known };
    }
    const part = join(path, partName(file));
    const brought = await listing.bring(file, { part, limitBytes: file.bytes ?? store.roomBytes() }, (bytes) => {
      totalBytes = Math.max(totalBytes, before + bytes);
      onProgress({ file: file.path, bytes: before + bytes, totalBytes });
    });
    files.push(brought);
    if (!(await store.claim(folder, brought))) parts.set(brought.digest, part);
    return brought;
  };
  const newBytes = () => sum(files.filter(({ digest }) => parts.has(digest)));

  const entry = await bring(graph);
  const needs = await readNeeds(parts.get(entry.digest) ?? store.pathOf(entry.digest));
  const data = [...needs].map(([name, bytes]) => {
    const file = listing.find(beside(graph.path, name));
    if (file === undefined) throw new HearthlendError('MODEL_DATA_MISSING', { path: name });
    if (file.bytes !== null && file.bytes < bytes) throw cutOff(name, file.bytes, bytes);
    return { file, bytes };
  });
  const rest = wantedFiles(graph, [...data.map(({ file }) => file), ...companionsOf(listing, graph.path)]).slice(1);
  totalBytes = entry.bytes + sum(rest);
  await store.promise(folder, newBytes() + missingBytes(store, rest));
  for (const file of rest) {
    const brought = await bring(file);
    const needed = data.find(({ file: { path: name } }) => name === file.path)?.bytes ?? 0;
    if (brought.bytes < needed) throw cutOff(file.path, brought.bytes, needed);
    // Sizes that nobody told beforehand count, too.
    await store.promise(folder, newBytes());
  }
  return { files, parts };
}

/** Bytes of the files that aren't in the store already, as far as their sizes are known. */
function missingBytes(store: OwnedModels, files: readonly ListedFile[]): number {
  return sum(
    files.filter((file) => {
      const known = knownBlob(file);
      return known === undefined || !store.has(known);
    }),
  );
}

/** What a file must be, where its source says all of it. */
function knownBlob({ digest, bytes }: ListedFile): BlobRef | undefined {
  return digest?.type === 'sha256' && bytes !== null ? { digest: digest.hex, bytes } : undefined;
}

function cutOff(name: string, bytes: number, needed: number): HearthlendError {
  return new HearthlendError('MODEL_INVALID', {
    detail: `its data file ${name} has ${bytes} bytes where it needs ${needed}; it is cut off`,
  });
}

/** The graph, then the others, each once. */
function wantedFiles(graph: ListedFile, others: readonly ListedFile[]): ListedFile[] {
  return [...new Map([graph, ...others].map((file) => [file.path, file])).values()];
}

/** @throws DISK_FULL before anything is written, where the disk plainly can't hold it; what an earlier try left counts as free */
async function requireFreeDisk(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await onDisk(folder, () => statfs(folder));
  const here = total(await onDisk(folder, () => sizesIn(folder)));
  if (bavail * bsize + here < bytes) throw new HearthlendError('DISK_FULL', { path: folder });
}

/** Under which name a file waits, so that only the same file is gone on with. */
function partName({ path, digest }: ListedFile): string {
  return `${digest === null ? sha256(new TextEncoder().encode(path)) : `${digest.type}-${digest.hex}`}.part`;
}

function nameOf(listing: Listing, entry: string): string {
  if (listing.origin.type === 'hub') return `${listing.name}#${entry}`;
  return listing.origin.type === 'url' ? listing.name : entry.slice(entry.lastIndexOf('/') + 1);
}

function sum(files: ReadonlyArray<{ bytes: number | null }>): number {
  return files.reduce((bytes, file) => bytes + (file.bytes ?? 0), 0);
}
