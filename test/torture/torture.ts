// Everything that may go wrong, on purpose and many times: see `parts`. Prints what it did and what it found; ends with 1 where anything was wrong.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { tortureByClock } from './clock.ts';
import { tortureByEndurance } from './endurance.ts';
import { both, type Finding } from './finding.ts';
import { tortureByFrames } from './frames.ts';
import { tortureByFullDisk } from './full-disk.ts';
import { tortureByKills } from './kills.ts';
import { tortureByLiveLiars } from './live-liars.ts';
import { tortureByModels } from './models.ts';
import { atRandom, tortureByNetwork } from './network.ts';
import { tortureByHonesty, tortureByLiars } from './strangers.ts';
import { tortureByWorkers } from './workers.ts';

const { values } = parseArgs({
  options: { scale: { type: 'string', default: '1' }, seed: { type: 'string', default: '1' }, part: { type: 'string', multiple: true } },
});
const scale = Number(values.scale);
if (!(scale > 0 && scale <= 10)) throw new Error(`--scale ${values.scale} is not a number from 0 to 10`);
const seed = Number(values.seed);
if (!Number.isSafeInteger(seed)) throw new Error(`--seed ${values.seed} is not a whole number`);
const times = (count: number) => Math.max(1, Math.round(count * scale));

const parts: Record<string, (dir: string) => Finding | Promise<Finding>> = {
  frames: (dir) => tortureByFrames(dir, times(10_000), seed),
  models: (dir) => tortureByModels(dir, times(10_000), seed),
  workers: tortureByWorkers,
  clock: (dir) => tortureByClock(dir, times(400)),
  disk: (dir) => tortureByFullDisk(dir, times(20)),
  kills: (dir) => tortureByKills(dir, times(1000)),
  network: (dir) => tortureByNetwork(dir, atRandom(times(600_000), seed), 6),
  liars: async (dir) => both(await tortureByLiars(dir, times(100_000), seed), await tortureByLiveLiars(dir, times(600_000))),
  honesty: (dir) => tortureByHonesty(dir, times(100_000), times(300)),
  endurance: (dir) => tortureByEndurance(dir, scale),
};
const wanted = values.part ?? Object.keys(parts);
const unknown = wanted.filter((name) => !(name in parts));
if (unknown.length > 0) throw new Error(`there is no part ${unknown.join(', ')}; there are: ${Object.keys(parts).join(', ')}`);

const say = (line: string) => void process.stdout.write(`${line}\n`);
let wrong = 0;
for (const name of wanted) {
  const dir = mkdtempSync(join(tmpdir(), `hearthlend-torture-${name}-`));
  const startedAt = performance.now();
  const finding = await (parts[name] as (typeof parts)[string])(dir);
  rmSync(dir, { recursive: true, force: true, maxRetries: 5 });
  say(`${name} (${Math.round((performance.now() - startedAt) / 1000)} s): ${finding.did}`);
  for (const found of finding.wrong) say(`  WRONG: ${found}`);
  wrong += finding.wrong.length;
}
say(wrong === 0 ? 'Nothing lost, nothing doubled, every chain whole.' : `${wrong} things were wrong.`);
process.exit(wrong === 0 ? 0 : 1);
