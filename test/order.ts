import { statSync } from 'node:fs';
import type { TestSpecification } from 'vitest/node';
import { BaseSequencer } from 'vitest/node';

/** Where the files are that take longest, most of a minute some of them. */
const LONG = ['endurance', 'end-to-end', 'packages', 'electron', 'worker', 'core/gpu-window', 'renderer', 'core/wallet', 'core/ledger'];

function rank({ moduleId }: TestSpecification): number {
  const found = LONG.findIndex((folder) => moduleId.includes(`/test/${folder}/`));
  return found === -1 ? LONG.length : found;
}

/**
 * Starts the long files first, so that none of them is left alone at the end; larger ones first within a folder. vitest knows how long each took
 * only where it ran before. Files in processes of their own go before those that share one, which has to be of one piece.
 */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const size = new Map(files.map((file) => [file, statSync(file.moduleId).size]));
    const shared = ({ project }: TestSpecification) => (project.config.isolate ? 0 : 1);
    return [...files].sort((a, b) => shared(a) - shared(b) || rank(a) - rank(b) || (size.get(b) ?? 0) - (size.get(a) ?? 0));
  }
}
