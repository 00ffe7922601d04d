import type { EventEmitter } from 'node:events';
import type { ShellPower } from '../../core/policy/signals/shell-power.ts';

type PowerMonitor = Pick<Electron.PowerMonitor, 'getSystemIdleTime' | 'getSystemIdleState' | 'onBatteryPower'> &
  Pick<EventEmitter, 'on' | 'off'>;

/** So long that nobody counts as idle: only the lock is asked for. In seconds. */
const NEVER_IDLE = 2 ** 31 - 1;
const EVENTS = [
  ['lock-screen', 'locked'],
  ['unlock-screen', 'unlocked'],
  ['on-battery', 'battery'],
  ['on-ac', 'mains'],
] as const;

/**
 * What Electron's powerMonitor tells for the rules. Null on Linux, where it tells of no lock, and of no true idle time under Wayland; the system
 * is asked there without it.
 */
export function shellPower(monitor: PowerMonitor, platform: NodeJS.Platform): ShellPower | null {
  if (platform !== 'win32' && platform !== 'darwin') return null;
  return {
    listen(listener) {
      const listening = EVENTS.map(([event, heard]) => [event, () => listener(heard)] as const);
      for (const [event, hear] of listening) monitor.on(event, hear);
      return () => {
        for (const [event, hear] of listening) monitor.off(event, hear);
      };
    },
    idleSeconds: () => monitor.getSystemIdleTime(),
    onBattery: () => monitor.onBatteryPower,
    locked() {
      const state = monitor.getSystemIdleState(NEVER_IDLE);
      return state === 'unknown' ? null : state === 'locked';
    },
  };
}
