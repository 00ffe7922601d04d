import { openPowerLimits } from '../../core/policy/throttle-power-limit.ts';

// A process that limits a GPU and ends: `node power-limit-process.ts TOOL RECORD GPU WATTS throw|kill`.
const [tool, recordPath, gpu, watts, end] = process.argv.slice(2) as [string, string, string, string, string];
const limits = openPowerLimits({ tool, recordPath, log: () => undefined });
limits.want(new Map([[gpu, Number(watts)]]));
await limits.settled();
if (end === 'kill') process.kill(process.pid, 'SIGKILL');
throw new Error('an error that nobody expected');
