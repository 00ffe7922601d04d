import { type FileHandle, open } from 'node:fs/promises';
import { posix } from 'node:path';
import type { Sha256 } from '../../contract/digest.ts';
import { HearthlendError } from '../../contract/errors.ts';
import type { AuditFacts, InspectModel } from '../../contract/jobs.ts';
import type { ModelManifest } from '../../contract/model.ts';
import type { Shard } from '../../contract/shard.ts';
import { dataName } from '../data-name.ts';
import { modelDigest } from '../digest.ts';
import { readGraph } from '../onnx/graph.ts';
import { invalidModel, WireReader } from '../onnx/wire.ts';
import { Inspection, type ModelFacts } from './inspect.ts';
import { judge, type Room } from './judge.ts';

/** A model's verified files, by the manifest's paths. */
interface ModelFiles {
  digest: Sha256;
  manifest: ModelManifest;
  files: ReadonlyMap<string, string>;
}

/**
 * Whether a model may be loaded for a shard of this origin. Its graph is read once a digest, its weights never.
 * @throws MODEL_INVALID, MODEL_PATH_UNSAFE, MODEL_DATA_MISSING, MODEL_SIZE_WRONG, MODEL_TOO_COMPLEX, MODEL_OPERATOR_REFUSED,
 *   MODEL_OVER_MEMORY, MODEL_OVER_FREE_MEMORY, FILE_UNREADABLE
 */
export type Vet = (model: ModelFiles, origin: Shard['origin'], room: Room) => Promise<void>;

const MAX_REMEMBERED = 256;
/** A model of 30,000 nodes takes half a second. */
const PATIENCE_MS = 20_000;

export function createVet(): Vet {
  /** What holds together, the most recently used last. What doesn't is read again, since it may be the disk's fault. */
  const known = new Map<Sha256, ModelFacts>();
  return async (model, origin, room) => {
    const facts = known.get(model.digest) ?? (await inspectModel(model));
    known.delete(model.digest);
    known.set(model.digest, facts);
    for (const oldest of known.keys()) {
      if (known.size <= MAX_REMEMBERED) break;
      known.delete(oldest);
    }
    const refusal = judge(facts, origin, room);
    if (refusal !== null) throw refusal;
  };
}

/** What audits have to know of a model. Each is read once, the last ones are remembered. */
export function createInspect(): InspectModel {
  const known = new Map<Sha256, Promise<AuditFacts>>();
  return async (model) => {
    const digest = modelDigest(model.manifest);
    const facts = known.get(digest) ?? inspectModel({ digest, ...model }).then(auditFacts);
    known.delete(digest);
    known.set(digest, facts);
    // What could not be read may be the disk's fault.
    facts.catch(() => known.delete(digest));
    for (const oldest of known.keys()) {
      if (known.size <= MAX_REMEMBERED) break;
      known.delete(oldest);
    }
    return facts;
  };
}

function auditFacts({ coarse, random, indices, outputs }: ModelFacts): AuditFacts {
  const given = new Set(outputs);
  return { coarse, random, indices: indices.map((each) => ({ ...each, given: given.has(each.values) })) };
}

async function inspectModel({ manifest, files }: ModelFiles): Promise<ModelFacts> {
  const { entry } = manifest;
  const path = files.get(entry);
  const bytes = manifest.files.find((file) => file.path === entry)?.bytes;
  if (path === undefined || bytes === undefined) throw invalidModel(`its file ${entry} is not there`);
  const inspection = new Inspection((location) => declaredBytes(manifest, location));
  let file: FileHandle | undefined;
  try {
    file = await open(path);
    if (await isOrtFormat(entry, file)) throw invalidModel(`${entry} is in ONNX Runtime's own format, not an .onnx file`);
    const { outputs } = await readGraph(new WireReader(file, bytes, PATIENCE_MS), bytes, inspection);
    return inspection.facts(outputs.map(({ name }) => name));
  } catch (cause) {
    if (cause instanceof HearthlendError) throw cause;
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  } finally {
    await file?.close();
  }
}

/**
 * Whether ONNX Runtime would read it in its own binary format, of which nobody here looks at a word: it goes by a file's name, and by four of
 * its bytes where it is given bytes. Source: onnxruntime/core/flatbuffers/flatbuffers_utils.cc.
 */
async function isOrtFormat(entry: string, file: FileHandle): Promise<boolean> {
  if (entry.toLowerCase().endsWith('.ort')) return true;
  const { buffer } = await file.read(Buffer.alloc(8), 0, 8, 0);
  return buffer.toString('latin1', 4, 8) === 'ORTM';
}

/** The size of the file in which external data lies: one of the model's own, named as ONNX Runtime will look for it. */
function declaredBytes({ entry, files }: ModelManifest, location: string): number {
  const path = posix.join(posix.dirname(entry), dataName(location));
  const file = files.find((each) => each.path === path);
  if (file === undefined) throw new HearthlendError('MODEL_DATA_MISSING', { path: location });
  return file.bytes;
}
