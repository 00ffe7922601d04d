import { join } from 'node:path';
import type { Sha256 } from './contract/digest.ts';
import { readDecoder } from './models/decoder.ts';
import { describeModel } from './models/describe.ts';
import { modelDigest } from './models/digest.ts';
import type { PromptModel } from './prompts.ts';
import { createTextStream } from './text/stream.ts';
import { loadTokenizer } from './text/tokenizer.ts';

/** Reads the practice model's folder in Optimum's layout. @throws MODEL_*, TOKENIZER_INVALID */
export async function loadPromptModel(folder: string): Promise<PromptModel & { digest: Sha256 }> {
  const [{ manifest, files }, { decoder, stopTokens }, tokenizer] = await Promise.all([
    describeModel(join(folder, 'onnx/model.onnx')),
    readDecoder(folder),
    loadTokenizer(folder),
  ]);
  return {
    digest: modelDigest(manifest),
    local: { manifest, files },
    decoder,
    stopTokens,
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
