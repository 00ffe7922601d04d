import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { BackendName } from '../../core/contract/backends.ts';
import { type Compared, compareHonest } from '../coordinator/trust/honest.ts';
import { answersOf, calibrated, liesOf, tryLiar } from '../coordinator/trust/liars.ts';
import { openPracticeRuns } from '../coordinator/trust/practice-runs.ts';
import { LIARS, seededRandom } from '../fakes/lies.ts';
import { checks, type Finding } from './finding.ts';

/** Debian's chromium brings a Vulkan driver that needs no GPU. */
const SOFTWARE_VULKAN = '/usr/lib/chromium/vk_swiftshader_icd.json';
const STANDARD_ERRORS = 3;

/** Workers that lie, against the real verifier: caught as often as the rule of audits says, and once trusted too. */
export async function tortureByLiars(dir: string, shards: number, seed: number): Promise<Finding> {
  const { wrong, expect } = checks();
  const random = seededRandom(seed);
  const runs = await openPracticeRuns(dir);
  const honest = await answersOf(runs, { generations: 48, passes: 16, stages: 12 });
  const calibrations = await calibrated(
    runs,
    [0, 1, 2, 48, 49, 64].map((at) => (honest[at] as (typeof honest)[number]).task),
  );
  const told: string[] = [];
  for (const liar of LIARS) {
    const lies = await liesOf(liar, runs, honest, random);
    const { caught, expected, standardError, missed } = await tryLiar(liar, runs, lies, calibrations, shards, random);
    const off = Math.abs(caught - expected) / Math.max(standardError, 1);
    expect(
      off <= STANDARD_ERRORS,
      `${liar}: ${caught} of ${shards} were caught, ${expected.toFixed(0)} ± ${standardError.toFixed(0)} were to be`,
    );
    expect(missed === 0, `${liar}: ${missed} wrong answers passed their audit`);
    const rate = (value: number) => (value / shards).toFixed(5);
    told.push(`${liar}: ${rate(caught)} caught, ${rate(expected)} ± ${rate(standardError)} expected (${lies.length} lies)`);
  }
  return { did: `${shards} answers of each liar of seed ${seed}\n  ${told.join('\n  ')}`, wrong };
}

/** Honest workers, on the processor under every order of its sums and on a GPU's provider: none of them is blamed. */
export async function tortureByHonesty(dir: string, comparisons: number, onGpu: number): Promise<Finding> {
  const { wrong, expect } = checks();
  const runs = await openPracticeRuns(dir);
  const told: string[] = [];
  const tell = (backend: BackendName, compared: Compared) => {
    for (const blame of compared.blamed) wrong.push(blame);
    expect(compared.undecided === 0, `${backend}: ${compared.undecided} honest results were not decided`);
    const { comparisons: tokens, shards, nearTies, worst } = compared;
    told.push(`${backend}: ${tokens} tokens of ${shards} results, ${nearTies} near-ties, rows ${worst.toExponential(1)} apart at most`);
  };
  tell('cpu', await compareHonest(runs, runs, { comparisons, backend: 'cpu', tokens: 110, rows: 16 }));
  if (existsSync(SOFTWARE_VULKAN)) {
    // The loader of Vulkan is looked for when a process starts; the one beside the driver will do.
    const env = {
      ...process.env,
      VK_ICD_FILENAMES: SOFTWARE_VULKAN,
      VK_DRIVER_FILES: SOFTWARE_VULKAN,
      LD_LIBRARY_PATH: dirname(SOFTWARE_VULKAN),
    };
    const script = join(import.meta.dirname, 'honest-on-gpu.ts');
    const { stdout } = await promisify(execFile)(process.execPath, [script, join(dir, 'gpu'), String(onGpu)], { env });
    tell('webgpu', JSON.parse(stdout) as Compared);
  } else told.push(`webgpu: not tried, ${SOFTWARE_VULKAN} is not there`);
  return { did: told.join('; '), wrong };
}
