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

/**
 * Each model with what this machine lacks for it, those that fit first, and the larger of those first.
 * @param room what is free for a model here, in bytes; null where that is not known, and so no obstacle
 */
export function fitCatalogue(models: readonly CatalogueModel[], room: { diskBytes: number | null; memoryBytes: number }): CatalogueRow[] {
  const obstacle = (model: CatalogueModel): CatalogueRow['obstacle'] => {
    if (model.memoryBytes > room.memoryBytes) return 'memory';
    return room.diskBytes !== null && model.diskBytes > room.diskBytes ? 'disk' : null;
  };
  return models
    .map((model) => ({ ...model, obstacle: obstacle(model) }))
    .sort((a, b) => Number(a.obstacle !== null) - Number(b.obstacle !== null) || b.parameters - a.parameters);
}
