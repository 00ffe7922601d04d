import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SignalChange, SignalSource } from '../../../contract/policy.ts';
import { oneAtATime } from '../one-at-a-time.ts';

const LOOK_MS = 1000;
/** Batteries are asked through slow firmware on some machines; chargers are told by it. */
const BATTERY_LOOKS = 15;
const MAX_SUPPLIES = 32;

/** A folder of /sys/class/power_supply: the files that matter, by name. */
export interface PowerSupply {
  type: string;
  /** `Device`: of a mouse or the like, not of the machine. */
  scope: string;
  online: string;
  status: string;
  present: string;
  capacity: string;
}
const FILES = ['type', 'scope', 'online', 'status', 'present', 'capacity'] as const;

type Power = NonNullable<SignalChange['power']>;

/**
 * What the machine runs on. Null where that isn't told. A machine without battery runs on mains, if its supplies are listed at all.
 * @param supplies null where the system lists none
 */
export function powerFrom(supplies: readonly PowerSupply[] | null): Power | null {
  if (supplies === null) return null;
  const batteries = supplies.filter(({ type, scope, present }) => type === 'Battery' && scope !== 'Device' && present !== '0');
  const chargers = supplies.filter(
    ({ type, scope, online }) => type !== 'Battery' && type !== 'UPS' && scope !== 'Device' && online !== '',
  );
  if (batteries.length === 0) return { source: 'mains', percent: null };
  const percents = batteries
    .map(({ capacity }) => (capacity === '' ? Number.NaN : Number(capacity)))
    .filter((each) => each >= 0 && each <= 100);
  const percent = percents.length === 0 ? null : percents.reduce((sum, each) => sum + each, 0) / percents.length;
  const discharging = batteries.some(({ status }) => status === 'Discharging');
  // 0: nothing; 1: a charger; 2: a programmable one (USB).
  if (chargers.some(({ online }) => online !== '0')) return { source: 'mains', percent };
  if (chargers.length > 0 || discharging) return { source: 'battery', percent };
  return batteries.every(({ status }) => status === 'Full' || status === 'Charging' || status === 'Not charging')
    ? { source: 'mains', percent }
    : null;
}

/** Mains or battery, and the battery's charge. */
export function powerSupplySource(root = '/'): SignalSource {
  const folder = join(root, 'sys/class/power_supply');
  const read = async (supply: string, file: string): Promise<string> =>
    (await readFile(join(folder, supply, file), 'utf8').catch(() => '')).trim();
  const readAll = async (): Promise<PowerSupply[] | null> => {
    const names = await readdir(folder).catch(() => null);
    if (names === null) return null;
    return Promise.all(
      names.slice(0, MAX_SUPPLIES).map(async (name) => {
        const values = await Promise.all(FILES.map((file) => read(name, file)));
        return Object.fromEntries(FILES.map((file, index) => [file, values[index]])) as unknown as PowerSupply;
      }),
    );
  };
  return {
    name: 'power-supply',
    start(context) {
      let chargers: string[] = [];
      let online = '';
      let looks = 0;
      const look = oneAtATime(
        async () => {
          const now = (await Promise.all(chargers.map((name) => read(name, 'online')))).join();
          const due = looks % BATTERY_LOOKS === 0;
          looks += 1;
          if (now === online && !due) return;
          online = now;
          context.publish({ power: powerFrom(await readAll()) });
          if (!due) return;
          const names = await readdir(folder).catch(() => []);
          const types = await Promise.all(names.slice(0, MAX_SUPPLIES).map((name) => read(name, 'type')));
          chargers = names.filter((_, index) => types[index] !== undefined && types[index] !== 'Battery');
        },
        (error) => context.log('debug', 'power supply', { why: error.message }),
      );
      const timer = setInterval(look, LOOK_MS);
      look();
      return () => clearInterval(timer);
    },
  };
}
