import { join } from 'node:path';
import type { SignalChange, SignalContext, SignalSource } from '../../contract/policy.ts';
import { cpuSource } from './linux/cpu.ts';
import { gnomeIdleSource } from './linux/gnome-idle.ts';
import { gpusSource } from './linux/gpus.ts';
import { logindSource } from './linux/logind.ts';
import { meteredSource } from './linux/metered.ts';
import { nvidiaSource } from './linux/nvidia.ts';
import { powerSupplySource } from './linux/power-supply.ts';
import { programOf } from './linux/proc.ts';
import { programsSource } from './linux/programs.ts';
import { createMerge } from './merge.ts';
import { type ShellPower, shellPowerSource } from './shell-power.ts';
import { tariffSource } from './tariff.ts';
import { watcherSource } from './watcher.ts';
import { waylandSource } from './wayland/source.ts';
import { x11Source } from './x11/source.ts';

/** What the sources need of their surroundings. */
export interface SignalPorts {
  platform: NodeJS.Platform;
  env: Record<string, string | undefined>;
  /** Folder of the watchers that Windows and macOS are asked through (resources/signals). */
  watchers: string;
  /** What the desktop shell is told of power and session; null where there is none. */
  shellPower: ShellPower | null;
}

/** Every source of this platform's. Where several tell the same thing, the first in the list that knows it counts. */
export function openSignalSources(ports: SignalPorts): SignalSource[] {
  const shell = ports.shellPower === null ? [] : [shellPowerSource(ports.shellPower)];
  const found = [...platformSources(ports), ...shell, tariffSource];
  const merge = createMerge(found.length);
  return found.map((source, place) => ({
    name: source.name,
    start(context: SignalContext) {
      let stopped = false;
      // What was being read when it was to stop is nobody's any more.
      const publish = (change: SignalChange): void => {
        if (!stopped) context.publish(merge(place, change));
      };
      const stop = source.start({ ...context, publish });
      return () => {
        stopped = true;
        return stop();
      };
    },
  }));
}

function platformSources({ platform, env, watchers }: SignalPorts): SignalSource[] {
  switch (platform) {
    case 'linux':
      return [
        waylandSource(env),
        gnomeIdleSource(env),
        x11Source({ env, programOf }),
        logindSource(env),
        programsSource,
        cpuSource,
        powerSupplySource(),
        meteredSource(env),
        gpusSource(),
        nvidiaSource(),
      ].filter((source) => source !== null);
    case 'win32': {
      const script = join(watchers, 'windows.ps1');
      const args = ['-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File', script, '-AgentPid', String(process.pid)];
      return [watcherSource('Windows', { command: 'powershell.exe', args })];
    }
    case 'darwin':
      return [watcherSource('macOS', { command: '/usr/bin/osascript', args: ['-l', 'JavaScript', join(watchers, 'macos.js')] })];
    default:
      return [];
  }
}
