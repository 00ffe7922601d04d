import { type FileHandle, open } from 'node:fs/promises';
import type { StageValue } from '../../contract/stages.ts';
import { ELEMENT_TYPES } from '../onnx/values.ts';
import { BYTES, invalidModel } from '../onnx/wire.ts';
import { onDisk } from '../place.ts';
import { fieldHead, moveTensor, renameInputs, untypedValue, valueInfo } from './fields.ts';
import type { Range, SplitGraph, SplitTensor } from './graph.ts';
import type { StagePlan } from './plan.ts';

/** External data starts on a page, as exporters lay it out for mapping. */
const ALIGNMENT = 4096;
const COPY_BYTES = 4 * 2 ** 20;
/** A constant whose data lies elsewhere is a name, a shape and a place. */
const MAX_MOVED_BYTES = 1 << 20;
/** Tensors up to here are read whole to be changed; a node of this size is mostly constants, and looks at no shape. */
const MAX_RENAMED_BYTES = 1 << 20;

/** What a file is put together from: bytes in memory, and stretches of the whole model's file. */
type Piece = Uint8Array | Range;

/** Where the whole model lies: its graph's file, and its data files by the names that the graph gives them. */
export interface Source {
  graph: SplitGraph;
  file: FileHandle;
  data: ReadonlyMap<string, string>;
}

/** Copies the weights of a stage that lie in files beside the graph, one after another; a place used twice is copied once. */
export async function writeData(source: Source, plan: StagePlan, target: { path: string; name: string }): Promise<Map<string, Uint8Array>> {
  const moved = new Map<string, Uint8Array>();
  const external = plan.constants
    .map((name) => source.graph.constants.get(name) as SplitTensor)
    .filter((tensor) => tensor.external !== null);
  if (external.length === 0) return moved;
  const places = new Map<string, number>();
  const handles = new Map<string, FileHandle>();
  const out = await onDisk(target.path, () => open(target.path, 'w', 0o600));
  try {
    let end = 0;
    for (const tensor of external) {
      const { path, offset, length } = tensor.external as NonNullable<SplitTensor['external']>;
      const key = `${offset} ${length} ${path}`;
      let place = places.get(key);
      if (place === undefined) {
        place = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
        places.set(key, place);
        const from = handles.get(path) ?? (await open(source.data.get(path) ?? path));
        handles.set(path, from);
        await copyRange(from, offset, offset + length, out, place, target.path);
        end = place + length;
      }
      if (tensor.end - tensor.start > MAX_MOVED_BYTES) throw invalidModel(`its constant ${tensor.name} has its data twice`);
      moved.set(tensor.name, moveTensor(await readRange(source.file, tensor), { file: target.name, offset: place, length }));
    }
    await onDisk(target.path, () => out.sync());
  } finally {
    await Promise.all([out, ...handles.values()].map((handle) => handle.close()));
  }
  return moved;
}

/**
 * Writes a stage's graph: nodes, constants and declarations byte by byte as they were, with what is not known here.
 * @param known types of the values that go from stage to stage, so far as they are known; others are left to be inferred, which only outputs may be
 */
export async function writeStage(
  source: Source,
  plan: StagePlan,
  moved: ReadonlyMap<string, Uint8Array>,
  known: ReadonlyMap<string, StageValue>,
  path: string,
): Promise<void> {
  const { graph, file } = source;
  const pieces: Piece[] = [];
  const add = (key: number, content: Piece, wire = BYTES) => pieces.push(fieldHead(key, wire, lengthOf(content)), content);
  for (const raw of graph.graphFields) add(raw.number, raw, raw.wire);
  const made = new Set<string>();
  for (const index of plan.nodes) {
    const node = graph.nodes[index] as SplitGraph['nodes'][number];
    const renamed = node.end - node.start <= MAX_RENAMED_BYTES && node.inputs.some((name) => plan.renamed.has(name));
    add(1, renamed ? renameInputs(await readRange(file, node), plan.renamed) : node);
    for (const name of node.outputs) made.add(name);
  }
  const declared = (name: string): Piece => {
    const own = graph.inputs.get(name) ?? graph.outputs.get(name);
    if (own !== undefined && own.value.type !== null) return own;
    const value = known.get(name);
    return value === undefined ? untypedValue(name) : valueInfo(name, ELEMENT_TYPES.indexOf(value.type), value.shape);
  };
  for (const name of plan.constants) {
    const tensor = graph.constants.get(name) as SplitTensor;
    add(tensor.field, moved.get(name) ?? tensor);
    const input = graph.constantInputs.get(name);
    if (input !== undefined) add(11, input);
    made.add(name);
  }
  for (const { name } of plan.inputs) add(11, declared(name));
  for (const { name } of plan.outputs) {
    add(12, declared(name));
    made.delete(name);
  }
  for (const [name, value] of graph.inner) if (made.has(name)) add(13, value);
  for (const [name, range] of graph.quantization) if (made.has(name)) add(14, range);

  const model: Piece[] = graph.modelFields.flatMap((raw) => [fieldHead(raw.number, raw.wire, lengthOf(raw)), raw]);
  const bytes = pieces.reduce((sum, piece) => sum + lengthOf(piece), 0);
  await writePieces(file, [...model, fieldHead(7, BYTES, bytes), ...pieces], path);
}

async function writePieces(source: FileHandle, pieces: readonly Piece[], path: string): Promise<void> {
  const out = await onDisk(path, () => open(path, 'w', 0o600));
  try {
    let at = 0;
    let gathered: Uint8Array[] = [];
    let gatheredBytes = 0;
    const flush = async () => {
      if (gatheredBytes > 0) await onDisk(path, () => out.writev(gathered, at - gatheredBytes));
      [gathered, gatheredBytes] = [[], 0];
    };
    for (const piece of pieces) {
      const bytes = lengthOf(piece);
      // Small ones are gathered: a node takes some hundred bytes.
      if (bytes <= COPY_BYTES / 4) {
        gathered.push(piece instanceof Uint8Array ? piece : await readRange(source, piece));
        gatheredBytes += bytes;
        at += bytes;
        if (gatheredBytes >= COPY_BYTES || gathered.length >= 512) await flush();
        continue;
      }
      await flush();
      if (piece instanceof Uint8Array) await onDisk(path, () => out.write(piece, 0, bytes, at));
      else await copyRange(source, piece.start, piece.end, out, at, path);
      at += bytes;
    }
    await flush();
    await onDisk(path, () => out.sync());
  } finally {
    await out.close();
  }
}

const lengthOf = (piece: Piece): number => (piece instanceof Uint8Array ? piece.byteLength : piece.end - piece.start);

async function readRange(file: FileHandle, { start, end }: Range): Promise<Uint8Array> {
  const bytes = new Uint8Array(end - start);
  let at = 0;
  while (at < bytes.length) {
    const { bytesRead } = await file.read(bytes, at, bytes.length - at, start + at);
    if (bytesRead === 0) throw invalidModel('it became shorter while it was read');
    at += bytesRead;
  }
  return bytes;
}

async function copyRange(from: FileHandle, start: number, end: number, to: FileHandle, at: number, path: string): Promise<void> {
  const buffer = Buffer.allocUnsafe(Math.min(COPY_BYTES, end - start));
  for (let position = start; position < end; ) {
    const { bytesRead } = await from.read(buffer, 0, Math.min(buffer.length, end - position), position);
    if (bytesRead === 0) throw invalidModel('a file of it became shorter while it was read');
    const offset = at + position - start;
    await onDisk(path, async () => {
      for (let written = 0; written < bytesRead; ) {
        written += (await to.write(buffer, written, bytesRead - written, offset + written)).bytesWritten;
      }
    });
    position += bytesRead;
  }
}
