import { join } from 'node:path';
import type { JobRequest } from '../../../core/contract/jobs.ts';
import { decodeSafetensors, encodeSafetensors } from '../../../core/contract/safetensors.ts';
import type { Sampling } from '../../../core/contract/sampler.ts';
import { readDecoder } from '../../../core/models/decoder.ts';
import { describeModel } from '../../../core/models/describe.ts';
import { modelDigest } from '../../../core/models/digest.ts';
import { splitModel } from '../../../core/models/splitting/split.ts';
import { generateTask, int64, runTask, supervise, temporaryFolder, tokensOf } from '../../core/supervisor/workbench.ts';

const GREEDY: Sampling = { method: 'greedy' };

/** A model and its stages, with what the whole of it makes of a prompt. */
export async function prepare(
  modelPath: string,
  folder: string,
  stages: number,
  prompt: number[],
  maxNewTokens: number,
  sampling = GREEDY,
) {
  const supervisor = supervise();
  const decoder = await readDecoder(folder);
  const described = await describeModel(modelPath);
  const whole = { digest: modelDigest(described.manifest), manifest: described.manifest, files: described.files };
  const out = temporaryFolder();
  const manifest = await splitModel({
    ...{ model: described, stages, out, decoder, inputs: null, wholeFits: true },
    run: async (model, inputs) => {
      const digest = modelDigest(model.manifest);
      return decodeSafetensors((await supervisor.run(runTask({ digest, ...model }, inputs))).outputs);
    },
  });
  const options = { decoder: decoder.decoder, stopTokens: decoder.stopTokens, maxNewTokens, sampling };
  const expected = tokensOf((await supervisor.run(generateTask(whole, prompt, options))).outputs);
  const files = new Map(manifest.stages.flatMap(({ manifest: { files } }) => files.map(({ path }) => [path, join(out, path)] as const)));
  const request: JobRequest = {
    kind: 'onnx.generate',
    model: described,
    inputs: encodeSafetensors(new Map([['input_ids', int64([1, prompt.length], prompt)]])),
    ...options,
    limits: { wallMs: 60_000, memoryBytes: 2 ** 31, outputBytes: 2 ** 26 },
    session: { intraOpThreads: 1, graphOptimization: 'all' },
    split: { manifest, files },
  };
  return { request, expected };
}
