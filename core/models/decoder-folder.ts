import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { HearthlendError } from '../contract/errors.ts';

/** A decoder as it lies on this machine: its graph, and the folder with its configuration and tokenizer. */
export interface DecoderFolder {
  modelPath: string;
  folder: string;
}

const MAX_NAMED = 20;

/**
 * Finds the decoder that a path names: an .onnx file with its configuration beside or above it, or a folder in Optimum's layout, where
 * model.onnx lies in `onnx` or in the folder itself. Another name will do where there is only one.
 * @throws MODEL_NOT_FOUND, MODEL_NOT_NAMED, FILE_UNREADABLE
 */
export async function findDecoder(path: string): Promise<DecoderFolder> {
  const found = await kindOf(path);
  if (found === null) throw new HearthlendError('MODEL_NOT_FOUND', { path });
  if (found === 'file') {
    const folder = dirname(path);
    const kinds = await Promise.all(['config.json', 'genai_config.json'].map((name) => kindOf(join(folder, name))));
    return { modelPath: path, folder: kinds.includes('file') ? folder : dirname(folder) };
  }
  const graphs = [...(await graphsIn(join(path, 'onnx'))), ...(await graphsIn(path))];
  const usual = graphs.find((graph) => graph.endsWith('/model.onnx') || graph.endsWith('\\model.onnx'));
  const modelPath = usual ?? (graphs.length === 1 ? graphs[0] : undefined);
  if (modelPath !== undefined) return { modelPath, folder: path };
  if (graphs.length === 0) throw new HearthlendError('MODEL_NOT_FOUND', { path });
  const names = graphs.map((graph) => graph.slice(path.length + 1));
  throw new HearthlendError('MODEL_NOT_NAMED', { path, names: names.slice(0, MAX_NAMED).join(', ') });
}

async function graphsIn(folder: string): Promise<string[]> {
  if ((await kindOf(folder)) !== 'folder') return [];
  const names = await readdir(folder).catch((cause: Error) => {
    throw new HearthlendError('FILE_UNREADABLE', { path: folder, detail: cause.message }, { cause });
  });
  return names
    .filter((name) => name.endsWith('.onnx'))
    .sort()
    .map((name) => join(folder, name));
}

async function kindOf(path: string): Promise<'file' | 'folder' | null> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return null;
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: message }, { cause });
  }
}
