import { openPowerLimits } from '../../core/policy/throttle-power-limit.ts';

// A process that limits a GPU and ends: `node power-limit-process.ts RECORD GPU WATTS throw|kill`.
const [recordPath, gpu, watts, end] = process.argv.slice(2) as [string, string, string, string];
const limits = openPowerLimits({ recordPath, log: () => undefined });
limits.want(new Map([[gpu, Number(watts)]]));
await limits.settled();
if (end === 'kill') process.kill(process.pid, 'SIGKILL');
throw new Error('an error that nobody expected');
