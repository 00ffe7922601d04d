// In a process of its own, whose environment names a Vulkan driver: `honest-on-gpu.ts FOLDER COMPARISONS` prints what it compared, as JSON.
import { compareHonest } from '../coordinator/trust/honest.ts';
import { openPracticeRuns } from '../coordinator/trust/practice-runs.ts';

const [dir = '', comparisons = ''] = process.argv.slice(2);
const runs = await openPracticeRuns(dir);
const gpu = await openPracticeRuns(dir, { name: 'webgpu', deviceId: 0 });
// A GPU has no threads to vary.
const sessions = [{ intraOpThreads: 1, graphOptimization: 'all' as const }];
const options = { comparisons: Number(comparisons), backend: 'webgpu' as const, tokens: 16, rows: 16, sessions };
process.stdout.write(`${JSON.stringify(await compareHonest(gpu, runs, options))}\n`);
process.exit(0);
