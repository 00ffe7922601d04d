#!/usr/bin/env node
// Behaves like nvidia-smi in one of its moods, for what streams it: the mood is the first word of the file beside it, which is asked at each start.
import { appendFileSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const folder = dirname(process.argv[1]);
const [mood, ...rest] = readFileSync(join(folder, 'mood'), 'utf8').trim().split(' ');
const query = process.argv.find((arg) => arg.startsWith('--query-')) ?? '';
appendFileSync(join(folder, 'starts'), `${process.pid} ${query}\n`);
const forever = () => setInterval(() => undefined, 1000);

const GPU = '00000000:2D:00.0, 97, 12288, 4116, 71, 45, 131.52, 170.00, 1920, 7301, 0x0000000000000004';
if (query.startsWith('--query-compute-apps')) {
  const [mebibytes = '', pid = ''] = rest;
  if (pid !== '')
    process.stdout.write(
      `2026/11/21 11:37:40.983, 00000000:2D:00.0, ${pid}, ${mebibytes}\n2026/11/21 11:37:40.983, 00000000:2D:00.0, 1, 900\n`,
    );
  forever();
} else if (mood === 'fine') {
  process.stdout.write(`${GPU}\n${GPU.replace('2D:', '2E:').slice(0, 30)}`);
  forever();
} else if (mood === 'dies') {
  process.stdout.write(`${GPU}\n`);
} else if (mood === 'broken') {
  process.stderr.write('Failed to initialize NVML: Driver/library version mismatch\n');
  process.exitCode = 18;
} else if (mood === 'hangs') {
  forever();
} else if (mood === 'newer') {
  const newer = query.includes('clocks_event_reasons.active');
  process.stdout.write(newer ? `${GPU}\n` : 'Field "clocks_throttle_reasons.active" is not a valid field to query.\n\n');
  if (newer) forever();
}
