import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HearthlendError } from './contract/errors.ts';
import type { DescribedModel, SplitModel } from './contract/jobs.ts';
import { SPLIT_FILE, SplitManifest } from './contract/stages.ts';
import { modelDigest } from './models/digest.ts';

const FOLDER = 'stages';

/**
 * The stages that an operator laid beside a decoder, into `stages` of its folder, by `model split --out`; null where there are none.
 * @throws FILE_UNREADABLE where they are not that model's, or not whole
 */
export async function stagesBeside(folder: string, { manifest }: Pick<DescribedModel, 'manifest'>): Promise<SplitModel | null> {
  const path = join(folder, FOLDER);
  const there = await stat(join(path, SPLIT_FILE)).catch(() => null);
  if (there === null) return null;
  try {
    const split = SplitManifest.parse(JSON.parse(await readFile(join(path, SPLIT_FILE), 'utf8')));
    if (split.model !== modelDigest(manifest)) throw new Error('they are the stages of another model');
    const files = split.stages.flatMap((stage) => stage.manifest.files);
    for (const file of files) if ((await stat(join(path, file.path))).size !== file.bytes) throw new Error(`${file.path} is not whole`);
    return { manifest: split, files: new Map(files.map((file) => [file.path, join(path, file.path)])) };
  } catch (thrown) {
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (thrown as Error).message }, { cause: thrown });
  }
}
