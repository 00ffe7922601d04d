import { totalmem } from 'node:os';
import { join } from 'node:path';
import type { Sha256 } from './contract/digest.ts';
import type { DescribedModel } from './contract/jobs.ts';
import type { Limits } from './contract/shard.ts';
import { readDecoder } from './models/decoder.ts';
import { findDecoder } from './models/decoder-folder.ts';
import { describeModel } from './models/describe.ts';
import { modelDigest } from './models/digest.ts';
import type { PromptModel } from './prompts.ts';
import { createTextStream } from './text/stream.ts';
import { loadTokenizer } from './text/tokenizer.ts';

const PRACTICE_LIMITS: Limits = { wallMs: 120_000, memoryBytes: 4 * 2 ** 30, outputBytes: 1 << 20 };
/** A large model on a slow machine takes its time; whoever tires of it cancels. */
const OWN_WALL_MS = 6 * 3_600_000;
/** Eight bytes a token, for more of them than a prompt may ask for. */
const OWN_OUTPUT_BYTES = 16 << 20;
/** The rest is for the system and the user. */
const MEMORY_SHARE = 0.75;

/** Reads the practice model's folder in Optimum's layout. @throws MODEL_*, TOKENIZER_INVALID */
export function loadPromptModel(folder: string): Promise<PromptModel & { digest: Sha256 }> {
  return readPromptModel(folder, () => describeModel(join(folder, 'onnx/model.onnx')), PRACTICE_LIMITS);
}

/**
 * Reads a decoder of the owner's by its file or folder.
 * @throws MODEL_*, TOKENIZER_INVALID, FILE_UNREADABLE
 */
export async function loadOwnModel(path: string): Promise<PromptModel> {
  const { modelPath, folder } = await findDecoder(path);
  return readPromptModel(folder, () => describeModel(modelPath), ownLimits());
}

/** A decoder that was added to the store, with its configuration and tokenizer among its files. @throws MODEL_*, TOKENIZER_INVALID */
export function loadAddedModel(described: DescribedModel): Promise<PromptModel> {
  return readPromptModel(described.files, async () => described, ownLimits());
}

/** Of a job of the owner's: what this machine can spare. */
export function ownLimits(): Limits {
  return { wallMs: OWN_WALL_MS, memoryBytes: Math.floor(totalmem() * MEMORY_SHARE), outputBytes: OWN_OUTPUT_BYTES };
}

async function readPromptModel(
  folder: string | ReadonlyMap<string, string>,
  describe: () => Promise<DescribedModel>,
  limits: Limits,
): Promise<PromptModel & { digest: Sha256 }> {
  // What is small and most often missing comes first: weights may take a minute to hash.
  const { decoder, stopTokens } = await readDecoder(folder);
  const tokenizer = await loadTokenizer(folder);
  const { manifest, files } = await describe();
  return {
    digest: modelDigest(manifest),
    local: { manifest, files },
    decoder,
    stopTokens,
    limits,
    encode: (prompt) => tokenizer.encode(prompt),
    text: {
      decode: (tokens) => tokenizer.decode(tokens),
      stream() {
        const stream = createTextStream(tokenizer);
        return (token) => stream.push(token);
      },
    },
  };
}
