import { asHearthlendError } from './contract/errors.ts';
import type { DeviceId } from './contract/policy.ts';
import type { ShardEnergy } from './contract/telemetry.ts';
import { ENERGY_RUNS } from './ledger/entry.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log/log.ts';
import type { AttemptKey } from './work/ports.ts';

/** So many may wait to be recorded: who measures more at once has other troubles. */
const MAX_WAITING = 4 * ENERGY_RUNS;
/** What is not recorded as computed after so long never will be. */
const WAIT_MS = 600_000;

/** What computed each run, and what energy it took, on its way into the ledger. */
export interface MeasuredRuns {
  computed(key: Pick<AttemptKey, 'network' | 'shardId'>, device: DeviceId): void;
  /** What computed an attempt, asked once: when its result is recorded. Undefined where that isn't known any more. */
  device(key: AttemptKey): DeviceId | undefined;
  /** Energy of runs that are over. It is known a second or so later than what they ended with, and recorded with others. */
  tell(energies: readonly ShardEnergy[]): void;
}

export function createMeasuredRuns(
  ledger: Pick<Ledger, 'attempt' | 'recordSoon'>,
  { clock, log }: { clock: () => number; log: Log },
): MeasuredRuns {
  const devices = new Map<string, DeviceId>();
  let waiting: ShardEnergy[] = [];

  function record(energies: readonly ShardEnergy[]): void {
    const runs = energies.map(({ network, shardId, attempt, joules, estimated }) => {
      return { network, shardId, attempt, millijoules: Math.round(joules * 1000), estimated };
    });
    try {
      ledger.recordSoon([{ kind: 'energy', at: clock(), runs }]);
    } catch (thrown) {
      // Work goes on without it: what a run took is not worth a shard.
      const { code, params } = asHearthlendError(thrown);
      log('error', 'energy could not be recorded', { runs: runs.length, code, params });
    }
  }

  return {
    computed({ network, shardId }, device) {
      devices.set(`${network} ${shardId}`, device);
      for (const oldest of devices.keys()) {
        if (devices.size <= MAX_WAITING) break;
        devices.delete(oldest);
      }
    },
    device({ network, shardId }) {
      const name = `${network} ${shardId}`;
      const device = devices.get(name);
      devices.delete(name);
      return device;
    },
    tell(energies) {
      const ready: ShardEnergy[] = [];
      const later: ShardEnergy[] = [];
      for (const energy of [...waiting, ...energies]) {
        const attempt = ledger.attempt(energy.network, energy.shardId, energy.attempt);
        const runs = attempt === null || attempt.state === 'leased' || attempt.state === 'fetched' || attempt.state === 'running';
        if (!runs && attempt.runningAt !== null && attempt.millijoules === null) ready.push(energy);
        else if (runs && clock() - energy.at < WAIT_MS) later.push(energy);
      }
      waiting = later.slice(-MAX_WAITING);
      for (let at = 0; at < ready.length; at += ENERGY_RUNS) record(ready.slice(at, at + ENERGY_RUNS));
    },
  };
}
