import { z } from 'zod';
import { Sha256 } from './digest.ts';

/** A path inside a model: relative, forward slashes, no "." or ".." part, no drive or control characters. */
export const ModelPath = z
  .string()
  .min(1)
  .max(512)
  .refine(
    (path) =>
      // biome-ignore lint/suspicious/noControlCharactersInRegex: refusing them is the point
      !/[\\:\u0000-\u001f]/.test(path) && path.split('/').every((part) => part !== '' && part !== '.' && part !== '..'),
    'not a plain relative path',
  );

/** What a model is made of. Its canonical JSON's SHA-256 is the model's digest, so one digest names every byte. */
export const ModelManifest = z.strictObject({
  format: z.literal('onnx'),
  /** The graph's file; external data lies beside it under the names that the graph gives. */
  entry: ModelPath,
  files: z
    .array(z.strictObject({ path: ModelPath, bytes: z.int().min(0), digest: Sha256 }))
    .min(1)
    .max(4096),
});
export type ModelManifest = z.infer<typeof ModelManifest>;

/** What a decoder in Optimum's layout needs to be told, from config.json and generation_config.json. */
export const DecoderConfig = z.strictObject({
  layers: z.int().min(1).max(1024),
  keyValueHeads: z.int().min(1).max(4096),
  headSize: z.int().min(1).max(65_536),
  maxPositions: z.int().min(1).max(16_777_216),
});
export type DecoderConfig = z.infer<typeof DecoderConfig>;
