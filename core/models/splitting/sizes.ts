import { open } from 'node:fs/promises';
import type { LocalModel, StageSize } from '../../contract/jobs.ts';
import { WireReader } from '../onnx/wire.ts';
import { planStages } from './plan.ts';
import { readSplitGraph } from './read.ts';

const PATIENCE_MS = 60_000;

/** How large a model's stages would be, for any number of them. Its graph is read once, its weights never. @throws MODEL_INVALID; what is given, MODEL_UNCUTTABLE */
export async function stageSizes({ manifest, files }: LocalModel): Promise<(stages: number) => StageSize[]> {
  const file = await open(files.get(manifest.entry) ?? manifest.entry);
  try {
    const { size } = await file.stat();
    const graph = await readSplitGraph(new WireReader(file, size, PATIENCE_MS), size);
    return (stages) => planStages(graph, stages).map(({ weightBytes, layers }) => ({ weightBytes, layers: layers.length }));
  } finally {
    await file.close();
  }
}
