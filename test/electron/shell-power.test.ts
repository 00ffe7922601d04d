import { EventEmitter } from 'node:events';
import { expect, test } from 'vitest';
import { shellPower } from '../../electron/ports/shell-power.ts';

class Monitor extends EventEmitter {
  onBatteryPower = false;
  state: ReturnType<Electron.PowerMonitor['getSystemIdleState']> = 'active';
  getSystemIdleTime = (): number => 42;
  getSystemIdleState = () => this.state;
}

test('what powerMonitor tells is heard under its own names until nobody listens any more', () => {
  const monitor = new Monitor();
  const shell = shellPower(monitor, 'darwin');
  const heard: string[] = [];
  const leave = shell?.listen((event) => heard.push(event));
  for (const event of ['lock-screen', 'unlock-screen', 'on-battery', 'on-ac']) monitor.emit(event);
  leave?.();
  for (const event of ['lock-screen', 'on-ac']) monitor.emit(event);
  expect(heard).toEqual(['locked', 'unlocked', 'battery', 'mains']);
  expect(monitor.eventNames()).toEqual([]);
});

test('idle time, lock and power source are asked for as they are', () => {
  const monitor = new Monitor();
  const shell = shellPower(monitor, 'win32');
  expect([shell?.idleSeconds(), shell?.onBattery(), shell?.locked()]).toEqual([42, false, false]);
  monitor.state = 'locked';
  monitor.onBatteryPower = true;
  expect([shell?.onBattery(), shell?.locked()]).toEqual([true, true]);
  monitor.state = 'unknown';
  expect(shell?.locked()).toBeNull();
});

test('on Linux it is not asked: there it knows nothing of the lock, and nothing true of idle time', () => {
  expect(shellPower(new Monitor(), 'linux')).toBeNull();
});
