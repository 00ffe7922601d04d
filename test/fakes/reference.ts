import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { CPU, type Provider } from '../../core/contract/backends.ts';
import type { ReferenceWorker } from '../../core/contract/jobs.ts';
import { generate } from '../../worker/native/generate.ts';
import { loadOnnxRuntime } from '../../worker/native/onnxruntime.ts';
import { Sessions } from '../../worker/native/sessions.ts';
import { force } from '../../worker/shard/force.ts';
import { run } from '../../worker/shard/run.ts';

/** Computes shards with ONNX Runtime in this very process: right results without a sandbox. `modelsDir` is a folder of its own. */
export function inProcessReference(modelsDir: string, provider: Provider = CPU): ReferenceWorker {
  const placed = new Set<string>();
  const sessions = loadOnnxRuntime().then((ort) => ({ ort, sessions: new Sessions(ort, modelsDir) }));
  return {
    async compute({ model, shard, inputs, forced }) {
      if (!placed.has(model.digest)) {
        placed.add(model.digest);
        for (const [path, file] of model.local.files) {
          const target = join(modelsDir, model.digest, path);
          mkdirSync(dirname(target), { recursive: true });
          symlinkSync(file, target);
        }
      }
      const { ort, sessions: loaded } = await sessions;
      const name = { model: model.digest, session: shard.session, provider };
      const session = await loaded.load(name, model.local.manifest.entry, false);
      const request = { id: 1, ...name, outputBytes: shard.limits.outputBytes };
      if (shard.kind === 'onnx.run') return (await run(ort, session, { ...request, type: 'run', outputs: shard.outputs }, inputs)).outputs;
      const { decoder, maxNewTokens, stopTokens, sampling } = shard;
      if (forced !== undefined) {
        const check = {
          ...request,
          type: 'force' as const,
          decoder,
          sampling,
          tolerance: { draw: forced.draw, logit: forced.logit },
          stepwise: forced.stepwise ?? false,
          outputBytes: 2 ** 24,
        };
        return (await force(ort, session, check, inputs)).outputs;
      }
      const task = { ...request, type: 'generate' as const, decoder, maxNewTokens, stopTokens, sampling };
      return (await generate(ort, session, task, inputs, () => undefined)).outputs;
    },
  };
}
