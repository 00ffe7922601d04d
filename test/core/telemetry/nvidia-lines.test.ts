import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { GpuSample } from '../../../core/contract/telemetry.ts';
import { lineCutter } from '../../../core/telemetry/lines.ts';
import { GPU_FIELDS, parseAppLine, parseGpuLine, pciAddress, unknownField, withoutField } from '../../../core/telemetry/nvidia-lines.ts';
import { reading } from '../../../core/telemetry/reading.ts';
import { throttleReasons } from '../../../core/telemetry/throttle.ts';

const fixtures = join(import.meta.dirname, '../../fixtures/telemetry');
const linesOf = (name: string) => readFileSync(join(fixtures, name), 'utf8').trimEnd().split('\n');

/** Each recorded line under the comment before it. */
function recorded(name: string): Array<{ about: string; line: string }> {
  let about = '';
  return linesOf(name).flatMap((line) => {
    if (!line.startsWith('# ')) return [{ about, line }];
    about = line.slice(2);
    return [];
  });
}

const machines = recorded('nvidia-smi-gpus.csv');
const machine = (name: string) => parseGpuLine(machines.find(({ about }) => about.includes(name))?.line ?? '');

test.each(machines)('a line of $about is read whole, within what can be true', ({ line }) => {
  const read = parseGpuLine(line);
  expect(GpuSample.safeParse({ ...read, memoryOursBytes: null, memoryOthersBytes: null }).error).toBeUndefined();
  expect(read?.temperatureCelsius).toBeGreaterThan(10);
});

test('values come in units that their names have, and what a card does not tell is unknown', () => {
  expect(machine('rtx-3060-v12')).toEqual({
    gpu: '0000:2d:00.0',
    utilization: 0,
    memoryTotalBytes: 12288 * 2 ** 20,
    memoryUsedBytes: 116 * 2 ** 20,
    temperatureCelsius: 42,
    fan: 0,
    fanRpm: null,
    powerWatts: 11.63,
    powerLimitWatts: 170,
    coreClockMhz: 210,
    memoryClockMhz: 405,
    throttled: [],
  });
  expect(machine('a100-sxm4')).toMatchObject({ utilization: null, fan: null, powerWatts: 67.03 });
  expect(machine('gtx-1070-ti')).toMatchObject({ powerWatts: null, powerLimitWatts: null, throttled: null, utilization: 0 });
  expect(machine('rtx-3090')).toMatchObject({ coreClockMhz: null, memoryClockMhz: 405 });
});

test('lines as people reported them are read under the properties that were asked for', () => {
  const [busy, windows, first, second] = recorded('nvidia-smi-others.csv').map(({ about, line }) => parseGpuLine(line, about.split(',')));
  expect(busy).toMatchObject({
    gpu: '0000:0a:00.0',
    utilization: 0.86,
    fan: 1,
    powerWatts: 176.98,
    powerLimitWatts: 200,
    coreClockMhz: 1965,
  });
  expect(windows).toMatchObject({ utilization: 1, powerWatts: 228.82, temperatureCelsius: 56, memoryTotalBytes: null, throttled: null });
  expect(first).toMatchObject({ utilization: 0, memoryUsedBytes: 10 * 2 ** 20, powerWatts: null });
  expect(second).toMatchObject({ gpu: '0000:02:00.0', utilization: null, fan: 0.3, temperatureCelsius: 37 });
});

test.each(linesOf('messages.txt'))('"%s" is no reading', (line) => {
  expect(parseGpuLine(line)).toBeNull();
  expect(parseAppLine(line)).toBeNull();
});

test('a decimal comma is a decimal point, and a comma and a space are the end of a value', () => {
  const line = '00000000:01:00.0, 97, 8192, 4096, 71, 45, 131,52, 170,00, 1920, 7301, 0x0000000000000004';
  expect(parseGpuLine(line)).toMatchObject({ powerWatts: 131.52, powerLimitWatts: 170, coreClockMhz: 1920, throttled: ['power'] });
});

test('a line that was cut in half, or has more in it than was asked for, is none', () => {
  const line = machines[5]?.line ?? '';
  expect(parseGpuLine(line.slice(0, line.length / 2))).toBeNull();
  expect(parseGpuLine(`${line}, 1`)).toBeNull();
  expect(parseGpuLine(line.replace(/^[^,]+/, '[N/A]'))).toBeNull();
});

test.each([
  ['511', 'celsius'],
  ['-273', 'celsius'],
  ['0', 'celsius'],
  ['ERR!', 'celsius'],
  ['[GPU is lost]', 'celsius'],
  ['65535', 'rpm'],
  ['1e3', 'rpm'],
  ['', 'rpm'],
])('"%s" is no reading of %s', (text, of) => {
  expect(of === 'celsius' ? reading(text, 1, 130) : reading(text, 0, 20_000)).toBeNull();
});

test('used memory beyond the total is not believed', () => {
  const line = '00000000:01:00.0, 1, 8192, 9000, 71, 45, 1, 2, 3, 4, 0x0';
  expect(parseGpuLine(line)).toMatchObject({ memoryTotalBytes: 8192 * 2 ** 20, memoryUsedBytes: null });
});

test('throttling is told by its reasons; a clock that is low for want of work is none', () => {
  expect(throttleReasons('0x0000000000000001')).toEqual([]);
  expect(throttleReasons('0x0000000000000064')).toEqual(['power', 'thermal']);
  expect(throttleReasons('0x00000000000001FF')).toEqual(['power', 'thermal', 'hardware', 'sync']);
  for (const unknown of ['[N/A]', 'Not Active', undefined, '0x']) expect(throttleReasons(unknown)).toBeNull();
});

test('memory of programs is read by GPU and process', () => {
  expect(parseAppLine('2026/11/21 11:37:40.983, 00000000:2D:00.0, 4054862, 990')).toEqual({
    stamp: '2026/11/21 11:37:40.983',
    gpu: '0000:2d:00.0',
    pid: 4054862,
    memoryBytes: 990 * 2 ** 20,
  });
  expect(parseAppLine('2026/11/21 11:37:40.983, 00000000:2D:00.0, 4054862, [N/A]')).toMatchObject({ memoryBytes: null });
});

test('an unknown property is asked for under its newer name, and then no more', () => {
  const said = 'Field "clocks_throttle_reasons.active" is not a valid field to query.';
  expect(unknownField(said)).toBe('clocks_throttle_reasons.active');
  const newer = withoutField(GPU_FIELDS, 'clocks_throttle_reasons.active');
  expect(newer.at(-1)).toBe('clocks_event_reasons.active');
  expect(withoutField(newer, 'clocks_event_reasons.active')).toEqual(GPU_FIELDS.slice(0, -1));
  expect(parseGpuLine('00000000:01:00.0, 1, 2, 1, 50, 1, 1, 2, 3, 4, 0x20', newer)).toMatchObject({ throttled: ['thermal'] });
});

test.each([
  ['00000000:0A:00.0', '0000:0a:00.0'],
  ['0000:01:00.0', '0000:01:00.0'],
  ['0001F2C0:00:00.0', '0001f2c0:00:00.0'],
  ['01:00.0', null],
  ['../../etc', null],
])('the PCI address %s names %s', (said, address) => {
  expect(pciAddress(said)).toBe(address);
});

test('however a stream is cut into pieces, its lines are the same', () => {
  fc.assert(
    fc.property(fc.array(fc.stringMatching(/^[ -~]{0,40}$/)), fc.array(fc.nat(60)), (lines, cuts) => {
      const text = lines.map((line) => `${line}\r\n`).join('');
      const found: string[] = [];
      const cut = lineCutter((line) => found.push(line));
      let at = 0;
      for (const length of cuts) {
        cut(text.slice(at, at + length));
        at += length;
      }
      cut(text.slice(at));
      expect(found).toEqual(lines);
    }),
  );
});

test('a line without end is not gathered, and the next one is whole again', () => {
  const found: string[] = [];
  const cut = lineCutter((line) => found.push(line));
  for (let piece = 0; piece < 1000; piece += 1) cut('x'.repeat(1000));
  cut('\nnext\n');
  expect(found).toEqual(['next']);
});
