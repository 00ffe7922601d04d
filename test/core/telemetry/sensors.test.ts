import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { expect, onTestFinished, type TestContext, test } from 'vitest';
import { CpuSample, GpuSample } from '../../../core/contract/telemetry.ts';
import { activeLevelMhz } from '../../../core/telemetry/amd.ts';
import { amdThrottle } from '../../../core/telemetry/amd-metrics.ts';
import { findCards, readCard } from '../../../core/telemetry/cards.ts';
import { cpuReader, readTicks } from '../../../core/telemetry/cpu.ts';
import { readDrmClient } from '../../../core/telemetry/drm-memory.ts';
import { powerBetween } from '../../../core/telemetry/energy-counter.ts';
import { createSampler } from '../../../core/telemetry/sampler.ts';

const recordings = join(import.meta.dirname, '../../fixtures/telemetry/sysfs');

/** A machine's /sys and /proc in a folder of the test. */
function machine(context: TestContext) {
  context.skip(process.platform === 'win32', 'Windows has no file names with colons');
  const root = mkdtempSync(join(tmpdir(), 'hearthlend-sysfs-'));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  const put = (path: string, content: string) => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), `${content}\n`);
  };
  return {
    root,
    put,
    /** A recorded card; where its files lie is the answer. */
    card(name: string): { device: string; card: string } {
      const [first = '', ...files] = readFileSync(join(recordings, `${name}.txt`), 'utf8')
        .trimEnd()
        .split('\n');
      const [, card = '', address = ''] = first.split(' ');
      const device = `sys/devices/pci0000:00/${address}`;
      for (const line of files) {
        const [path = '', ...content] = line.split(': ');
        put(join(device, path), content.join(': ').replaceAll('\\n', '\n'));
      }
      put(`sys/class/drm/${card}/dev`, '226:0');
      put(`sys/class/drm/${card}-DP-1/status`, 'connected');
      symlinkSync(join(root, device), join(root, 'sys/class/drm', card, 'device'));
      return { device, card: `sys/class/drm/${card}` };
    },
    read(atMs = 0) {
      return findCards(root).map((card) => readCard(card, atMs));
    },
  };
}

test('an AMD card tells its sensors; a fan at rest that says 65535 is unknown, not fast', (context) => {
  const { card, read } = machine(context);
  card('rx-5700-xt');
  const [sample] = read();
  expect(sample).toMatchObject({
    gpu: '0000:3d:00.0',
    temperatureCelsius: 81,
    fanRpm: null,
    powerWatts: 30,
    powerLimitWatts: 210,
    utilization: null,
    memoryUsedBytes: null,
    throttled: null,
  });
  expect(GpuSample.safeParse(sample).error).toBeUndefined();
});

test('load, memory and fan of an AMD card are shares and bytes', (context) => {
  const { card, put, read } = machine(context);
  const { device } = card('rx-580');
  put(`${device}/gpu_busy_percent`, '73');
  put(`${device}/mem_info_vram_total`, String(8 * 2 ** 30));
  put(`${device}/mem_info_vram_used`, String(3 * 2 ** 30));
  put(`${device}/hwmon/hwmon0/pwm1`, '51');
  put(`${device}/hwmon/hwmon0/pwm1_max`, '255');
  expect(read()[0]).toMatchObject({ utilization: 0.73, memoryUsedBytes: 3 * 2 ** 30, fan: 0.2, fanRpm: 676, coreClockMhz: 600 });
});

test('an APU has clocks and power of its own and no memory', (context) => {
  const { card, put, read } = machine(context);
  const { device } = card('apu');
  expect(read()[0]).toMatchObject({ coreClockMhz: 351.59, memoryClockMhz: 300, powerWatts: 9.103, memoryTotalBytes: null, fan: null });
  put(`${device}/hwmon/hwmon4/temp1_input`, '511000');
  put(`${device}/hwmon/hwmon4/power1_average`, '-1');
  put(`${device}/hwmon/hwmon4/power1_input`, '11000000');
  expect(read()[0]).toMatchObject({ temperatureCelsius: null, powerWatts: 11 });
});

test('a card that sleeps is not woken to be asked', (context) => {
  const { card, put, read } = machine(context);
  const { device } = card('rx-580');
  put(`${device}/power/runtime_status`, 'suspended');
  expect(read()).toEqual([null]);
});

test('an Intel card: power from its energy counter, the cap that is kept to, and why its clock is held', (context) => {
  const { root, card, put } = machine(context);
  const { device } = card('arc-pro-b60');
  const energy = `${device}/hwmon/hwmon6/energy1_input`;
  put(energy, '1000000');
  put(`${device}/tile0/gt0/freq0/act_freq`, '2400');
  put(`${device}/tile0/gt0/freq0/throttle/status`, '1');
  for (const reason of ['pl1', 'pl2', 'thermal', 'prochot']) put(`${device}/tile0/gt0/freq0/throttle/reason_${reason}`, '0');
  put(`${device}/tile0/gt0/freq0/throttle/reason_pl1`, '1');
  const [found] = findCards(root);
  if (found === undefined) throw new Error('no card');
  expect(readCard(found, 1000)).toMatchObject({
    gpu: '0000:03:00.0',
    powerWatts: null,
    powerLimitWatts: 200,
    coreClockMhz: 2400,
    throttled: ['power'],
  });
  put(energy, '151000000');
  expect(readCard(found, 2000)?.powerWatts).toBe(150);
  // Reset by a driver that was loaded again.
  put(energy, '5');
  expect(readCard(found, 3000)?.powerWatts).toBeNull();
  put(`${device}/tile0/gt0/freq0/throttle/reason_pl1`, '0');
  expect(readCard(found, 4000)?.throttled).toEqual([]);
});

test("an integrated Intel GPU tells its clock in i915's files", (context) => {
  const { root, put } = machine(context);
  put('sys/devices/pci0000:00/0000:00:02.0/vendor', '0x8086');
  put('sys/class/drm/card0/gt_cur_freq_mhz', '1150');
  put('sys/class/drm/card0/gt_act_freq_mhz', '0');
  symlinkSync(join(root, 'sys/devices/pci0000:00/0000:00:02.0'), join(root, 'sys/class/drm/card0/device'));
  const [found] = findCards(root);
  expect(found && readCard(found, 0)).toMatchObject({ gpu: '0000:00:02.0', coreClockMhz: 1150, powerWatts: null, throttled: null });
});

test('an energy counter that begins again at its range has not gone back; one that was reset has', () => {
  const at = (microjoules: number, atMs: number) => ({ microjoules, atMs });
  expect(powerBetween(at(262_143_000_000, 0), at(999_938 + 14_000_000, 1000), 262_143_999_938)).toBeCloseTo(15.999876, 3);
  expect(powerBetween(at(60_293_987_000_000, 0), at(60_294_087_000_000, 2000), null)).toBe(50);
  expect(powerBetween(at(60_293_987_000_000, 0), at(5, 2000), null)).toBeNull();
  expect(powerBetween(at(60_293_987_000_000, 0), at(5, 2000), 262_143_999_938)).toBeNull();
  expect(powerBetween(null, at(1, 1), 10)).toBeNull();
  expect(powerBetween(at(1, 5), at(2, 5), null)).toBeNull();
});

test('the processor: load, temperature of the package, power of all packages, what the workers take', (context) => {
  const { root, put } = machine(context);
  put('proc/stat', 'cpu  100 0 100 800 0 0 0 0 0 0');
  put('sys/class/hwmon/hwmon0/name', 'nvme');
  put('sys/class/hwmon/hwmon0/temp1_input', '35000');
  put('sys/class/hwmon/hwmon1/name', 'coretemp');
  put('sys/class/hwmon/hwmon1/temp2_label', 'Core 0');
  put('sys/class/hwmon/hwmon1/temp2_input', '73000');
  put('sys/class/hwmon/hwmon1/temp9_label', 'Package id 0');
  put('sys/class/hwmon/hwmon1/temp9_input', '75000');
  put('sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq', '3600000');
  put('sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count', '7');
  const domain = (name: string, what: string, microjoules: number) => {
    put(`sys/class/powercap/${name}/name`, what);
    put(`sys/class/powercap/${name}/max_energy_range_uj`, '262143999938');
    put(`sys/class/powercap/${name}/energy_uj`, String(microjoules));
  };
  domain('intel-rapl:0', 'package-0', 1_000_000);
  domain('intel-rapl:1', 'package-1', 2_000_000);
  domain('intel-rapl:2', 'psys', 5_000_000);
  const read = cpuReader(root);
  expect(read(0, { cpuMs: 1000, residentBytes: 5 })).toMatchObject({
    utilization: null,
    powerWatts: null,
    workerCores: null,
    workerMemoryBytes: 5,
  });
  put('proc/stat', 'cpu  150 0 150 900 0 0 0 0 0 0');
  put('sys/devices/system/cpu/cpu0/thermal_throttle/package_throttle_count', '8');
  domain('intel-rapl:0', 'package-0', 41_000_000);
  domain('intel-rapl:1', 'package-1', 42_000_000);
  const sample = read(1000, { cpuMs: 2500, residentBytes: 6 });
  expect(sample).toMatchObject({
    utilization: 0.5,
    temperatureCelsius: 75,
    powerWatts: 80,
    clockMhz: 3600,
    throttled: ['thermal'],
    workerCores: 1.5,
  });
  expect(CpuSample.safeParse(sample).error).toBeUndefined();
  rmSync(join(root, 'sys/class/powercap/intel-rapl:1/energy_uj'));
  // One package's counter is only root's to read: the sum is unknown, not smaller.
  expect(read(2000, null)).toMatchObject({ powerWatts: null, workerCores: null, workerMemoryBytes: null });
});

test('a machine without any of these files has a processor of which only memory is known', (context) => {
  const { root } = machine(context);
  const sample = cpuReader(root)(0, null);
  expect(CpuSample.parse(sample)).toMatchObject({
    utilization: null,
    temperatureCelsius: null,
    powerWatts: null,
    clockMhz: null,
    throttled: null,
  });
  expect(findCards(root)).toEqual([]);
});

test('levels and ticks that are none are unknown', () => {
  expect(activeLevelMhz('0: 500Mhz \n1: 2482Mhz *\nS: 19Mhz')).toBe(2482);
  expect(activeLevelMhz('0: 500Mhz')).toBeNull();
  expect(activeLevelMhz(null)).toBeNull();
  expect(readTicks('cpu  10 0 10')).toBeNull();
  expect(readTicks(null)).toBeNull();
});

const FDINFO = `pos:\t0
flags:\t02100002
drm-driver:\tamdgpu
drm-client-id:\t42
drm-pdev:\t0000:1e:00.0
drm-memory-vram:\t5860 KiB
drm-memory-gtt: \t2048 KiB
drm-engine-gfx:\t1000 ns
`;

test("memory of our workers is told by their open files, each client once; the rest is others'", (context) => {
  const { root, put, card } = machine(context);
  const { device } = card('rx-580');
  put(`${device}/mem_info_vram_total`, String(8 * 2 ** 30));
  put(`${device}/mem_info_vram_used`, String(2 ** 30));
  for (const [file, target] of [
    ['3', '/dev/dri/renderD128'],
    ['4', '/dev/dri/renderD128'],
    ['5', '/dev/null'],
  ] as const) {
    put(`proc/7/fdinfo/${file}`, FDINFO);
    mkdirSync(join(root, 'proc/7/fd'), { recursive: true });
    symlinkSync(target, join(root, 'proc/7/fd', file));
  }
  const usage = { cpuMs: 0, residentBytes: 0, pids: [7, 8] };
  const ours = 5860 * 1024;
  expect(createSampler({ clock: () => 1, workers: () => usage, nvidia: null, root })(0).gpus).toMatchObject([
    { gpu: '0000:1e:00.0', memoryOursBytes: ours, memoryOthersBytes: 2 ** 30 - ours },
  ]);
  expect(createSampler({ clock: () => 1, workers: () => null, nvidia: null, root })(0).gpus).toMatchObject([
    { memoryUsedBytes: 2 ** 30, memoryOursBytes: null, memoryOthersBytes: null },
  ]);
});

test('what an open file tells of memory: resident where it says so, nothing where it is none of a GPU', () => {
  expect(readDrmClient(FDINFO)).toEqual({ gpu: '0000:1e:00.0', client: '42', bytes: 5860 * 1024 });
  const xe = 'drm-driver:\txe\ndrm-client-id:\t9\ndrm-pdev:\t0000:03:00.0\ndrm-total-vram0:\t99 MiB\ndrm-resident-vram0:\t12 MiB\n';
  expect(readDrmClient(xe)).toMatchObject({ bytes: 12 * 2 ** 20 });
  expect(readDrmClient('pos:\t0\nflags:\t02\n')).toBeNull();
  expect(readDrmClient(FDINFO.replace('5860 KiB', '-1'))).toBeNull();
  expect(readDrmClient('')).toBeNull();
});

/** amdgpu's table of this format, with a throttle status in its place. */
function metrics(format: number, content: number, bytes: number, at: number, status: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(bytes));
  view.setUint16(0, bytes, true);
  view.setUint8(2, format);
  view.setUint8(3, content);
  view.setBigUint64(at, status, true);
  return new Uint8Array(view.buffer);
}

test('an AMD card says why its clock is held: power, heat, or its own limits; other tables say nothing', () => {
  expect(amdThrottle(metrics(1, 3, 120, 112, 0n))).toEqual([]);
  expect(amdThrottle(metrics(1, 3, 120, 112, 1n << 1n))).toEqual(['power']);
  expect(amdThrottle(metrics(1, 3, 120, 112, (1n << 36n) | (1n << 22n)))).toEqual(['hardware', 'thermal']);
  expect(amdThrottle(metrics(2, 2, 128, 120, 1n << 7n))).toEqual(['power']);
  expect(amdThrottle(metrics(1, 3, 120, 112, 0xffff_ffff_ffff_ffffn))).toBeNull();
  expect(amdThrottle(metrics(2, 1, 120, 112, 1n))).toBeNull();
  expect(amdThrottle(metrics(1, 3, 120, 112, 1n).subarray(0, 100))).toBeNull();
  expect(amdThrottle(null)).toBeNull();
});
