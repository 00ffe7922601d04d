import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { HearthlendError } from '../contract/errors.ts';
import { CatalogueModel, type CatalogueRow } from '../contract/models.ts';

const Catalogue = z.strictObject({ models: z.array(CatalogueModel).max(200) });

/** Reads the catalogue that is shipped. @throws FILE_UNREADABLE */
export async function readCatalogue(path: string): Promise<CatalogueModel[]> {
  try {
    return Catalogue.parse(JSON.parse(await readFile(path, 'utf8'))).models;
  } catch (cause) {
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
}

/** Weights are in memory once, and what is computed with them beside it: a rule of thumb, not a measurement. */
const MEMORY_PER_DISK = 1.3;
const MEMORY_BESIDE_BYTES = 256 * 2 ** 20;

/**
 * Each model with what this machine lacks for it, those that fit first, and the larger of those first.
 * @param here what there is for a model, in bytes, and on which backends it could run; `diskBytes` null where that is not known, and so no obstacle
 */
export function fitCatalogue(
  models: readonly CatalogueModel[],
  here: { diskBytes: number | null; memoryBytes: number; backends: readonly CatalogueModel['backends'][number][] },
): CatalogueRow[] {
  const fit = (model: CatalogueModel): CatalogueRow => {
    const memoryBytes = Math.ceil(model.diskBytes * MEMORY_PER_DISK) + MEMORY_BESIDE_BYTES;
    const obstacle = !model.backends.some((backend) => here.backends.includes(backend))
      ? 'backend'
      : memoryBytes > here.memoryBytes
        ? 'memory'
        : here.diskBytes !== null && model.diskBytes > here.diskBytes
          ? 'disk'
          : null;
    return { ...model, memoryBytes, obstacle };
  };
  return models.map(fit).sort((a, b) => Number(a.obstacle !== null) - Number(b.obstacle !== null) || b.diskBytes - a.diskBytes);
}
