import { open, realpath, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve, sep } from 'node:path';
import { HearthlendError } from '../contract/errors.ts';
import type { DescribedModel } from '../contract/jobs.ts';
import { type ModelManifest, ModelPath } from '../contract/model.ts';
import { dataName } from './data-name.ts';
import { hashFile } from './digest.ts';
import { type ModelGraph, readGraph } from './onnx/graph.ts';
import { carriedValues } from './onnx/values.ts';
import { invalidModel, WireReader } from './onnx/wire.ts';

/** Protobuf's own bound for one message. Larger models keep their weights in external data. */
const MAX_GRAPH_FILE_BYTES = 0x7fff_ffff;

/**
 * Reads a model file of this machine: what goes in and out, every file it is made of, and their digests. Weights are hashed by streaming and
 * never held in memory. The manifest's entry is the file's base name; the files are where the links, if any, lead to.
 * @throws MODEL_NOT_FOUND, FILE_UNREADABLE, MODEL_INVALID, MODEL_DATA_MISSING (an external-data file is not there), MODEL_PATH_UNSAFE (it is
 * outside the model's folder, by its name or by a link), MODEL_VALUE_UNSUPPORTED
 */
export async function describeModel(path: string): Promise<DescribedModel> {
  const entry = basename(resolve(path));
  if (!ModelPath.safeParse(entry).success) throw invalidModel(`its file name ${JSON.stringify(entry)} has characters that can't travel`);
  const graph = await readModelFile(path);
  const inputs = carriedValues('input', graph.inputs);
  const outputs = carriedValues('output', graph.outputs);

  const files = new Map([[entry, await realpath(path)]]);
  for (const [location, bytes] of graph.external) {
    const name = dataName(location);
    const file = await resolveBeside(dirname(resolve(path)), name, location);
    if (file.bytes < bytes) throw invalidModel(`its data file ${location} has ${file.bytes} bytes where it needs ${bytes}; it is cut off`);
    files.set(name, file.path);
  }
  const paths = [...files.keys()].sort();
  const listed = [];
  for (const name of paths) listed.push({ path: name, ...(await hashFile(files.get(name) as string)) });
  return { manifest: { format: 'onnx', entry, files: listed }, files, inputs, outputs };
}

/**
 * The same for a model whose files were verified already, wherever they lie. @param files the manifest's paths → where they are
 * @throws MODEL_NOT_FOUND, FILE_UNREADABLE, MODEL_INVALID, MODEL_VALUE_UNSUPPORTED
 */
export async function describeStored(manifest: ModelManifest, files: ReadonlyMap<string, string>): Promise<DescribedModel> {
  const graph = await readModelFile(files.get(manifest.entry) ?? manifest.entry);
  return { manifest, files, inputs: carriedValues('input', graph.inputs), outputs: carriedValues('output', graph.outputs) };
}

/**
 * What a graph's file needs beside it: external data by its path from the graph's folder, and the bytes that each must have at least.
 * @throws as describeModel
 */
export async function readNeeds(path: string): Promise<Map<string, number>> {
  const graph = await readModelFile(path);
  carriedValues('input', graph.inputs);
  carriedValues('output', graph.outputs);
  return new Map([...graph.external].map(([location, bytes]) => [dataName(location), bytes]));
}

async function readModelFile(path: string): Promise<ModelGraph> {
  const file = await stat(path).catch((cause: unknown) => {
    throw unreadable(cause, path, new HearthlendError('MODEL_NOT_FOUND', { path }, { cause }));
  });
  if (!file.isFile()) throw new HearthlendError('MODEL_NOT_FOUND', { path });
  if (file.size > MAX_GRAPH_FILE_BYTES) throw invalidModel('it is larger than the 2 GiB that an .onnx file can have');
  const handle = await open(path).catch((cause: unknown) => {
    throw unreadable(cause, path, new HearthlendError('MODEL_NOT_FOUND', { path }, { cause }));
  });
  try {
    await refuseWhatOnlyStandsForAModel(handle);
    return await readGraph(new WireReader(handle, file.size), file.size);
  } catch (cause) {
    throw cause instanceof HearthlendError ? cause : unreadable(cause, path);
  } finally {
    await handle.close();
  }
}

/** A repository cloned without Git LFS holds small text files under the models' names. */
async function refuseWhatOnlyStandsForAModel(handle: Awaited<ReturnType<typeof open>>): Promise<void> {
  const pointer = 'version https://git-lfs';
  const { bytesRead, buffer } = await handle.read(Buffer.alloc(pointer.length), 0, pointer.length, 0);
  if (buffer.toString('latin1', 0, bytesRead) === pointer)
    throw invalidModel('it is only a Git LFS pointer; fetch the file with git lfs pull');
}

/** The real file behind an external-data location, which must lie in the model's folder or below it. */
async function resolveBeside(folder: string, name: string, location: string): Promise<{ path: string; bytes: number }> {
  const unsafe = () => new HearthlendError('MODEL_PATH_UNSAFE', { path: location });
  try {
    const real = await realpath(join(folder, name));
    const realFolder = await realpath(folder);
    if (!real.startsWith(realFolder.endsWith(sep) ? realFolder : realFolder + sep)) throw unsafe();
    const file = await stat(real);
    if (!file.isFile()) throw invalidModel(`its data ${location} is not a file`);
    return { path: real, bytes: file.size };
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    throw unreadable(cause, join(folder, name), new HearthlendError('MODEL_DATA_MISSING', { path: location }, { cause }));
  }
}

function unreadable(cause: unknown, path: string, missing?: HearthlendError): HearthlendError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (missing !== undefined && (code === 'ENOENT' || code === 'ENOTDIR')) return missing;
  return new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
}
