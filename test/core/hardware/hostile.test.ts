import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Gpu } from '../../../core/contract/hardware.ts';
import { parseAmdSmi, parseRocmSmi } from '../../../core/hardware/amd.ts';
import { parseDirectxRegistry } from '../../../core/hardware/directx.ts';
import { joinSightings } from '../../../core/hardware/join.ts';
import { parseLspci } from '../../../core/hardware/lspci.ts';
import { parseSmartBattery, parseSystemProfiler } from '../../../core/hardware/mac.ts';
import { parseNvidiaSmi } from '../../../core/hardware/nvidia-smi.ts';
import { parseSystemInformation } from '../../../core/hardware/system-information.ts';
import { parseVulkaninfo } from '../../../core/hardware/vulkaninfo.ts';
import { sizeBytes } from '../../../core/hardware/words.ts';

const PARSERS = {
  nvidiaSmi: parseNvidiaSmi,
  rocmSmi: parseRocmSmi,
  amdSmi: parseAmdSmi,
  lspci: parseLspci,
  vulkaninfo: parseVulkaninfo,
  directx: parseDirectxRegistry,
  systemProfiler: (text: string) => parseSystemProfiler(text)?.sightings ?? null,
  systemInformation: (text: string) => parseSystemInformation(text)?.sightings ?? null,
};

/** The words that these tools have, in any order. */
const word = fc.constantFrom(
  '<nvidia_smi_log>',
  '</nvidia_smi_log>',
  '<gpu id="00000000:01:00.0">',
  '</gpu>',
  '<product_name>',
  '</product_name>',
  '<!--',
  '<!DOCTYPE x [<!ENTITY a "b">]>',
  '{',
  '}',
  '[',
  ']',
  '"card0":',
  '"asic":',
  '"gpu_data":',
  '"SPDisplaysDataType":',
  '"controllers":',
  '"_name":"x"',
  'null',
  ',',
  '-1',
  '1e999',
  'GPU0:\n',
  '\tdeviceName = x\n',
  '\tvendorID = 0x10de\n',
  '\tdeviceUUID = 0\n',
  '0000:01:00.0 VGA compatible controller: ',
  '[10de:2206]',
  '\n',
  'HKEY_LOCAL_MACHINE\\x\n',
  '  VendorId  REG_DWORD  0x10de\n',
  '  Description  REG_SZ  x\n',
  'N/A',
  '[Not Supported]',
  '\u0000',
  '\u202e',
  'ERROR: NVML',
);

test('rubbish, cut-off and mixed-up output is read as nothing or as GPUs within the contract, and never throws', () => {
  const text = fc.oneof(
    fc.array(word, { maxLength: 30 }).map((words) => words.join('')),
    fc.string(),
    fc.json(),
  );
  fc.assert(
    fc.property(text, fc.constantFrom(...Object.values(PARSERS)), (output, parse) => {
      const { gpus } = joinSightings(parse(output) ?? []);
      for (const gpu of gpus) expect(Gpu.parse(gpu)).toEqual(gpu);
    }),
    { numRuns: 2000 },
  );
});

test('a document that is nested without end, or refers to entities, is none', () => {
  expect(parseNvidiaSmi(`<nvidia_smi_log>${'<gpu>'.repeat(100_000)}`)).toBeNull();
  expect(
    parseNvidiaSmi('<!DOCTYPE x [<!ENTITY a "b">]><nvidia_smi_log><gpu><product_name>&a;</product_name></gpu></nvidia_smi_log>'),
  ).toMatchObject([{ name: 'NVIDIA &a;' }]);
  expect(parseRocmSmi(`[${'['.repeat(100_000)}`)).toBeNull();
});

test('a size is read with a decimal point and with a comma, and of nothing else', () => {
  expect(['1.5 GB', '1,5 GB', '24576 MiB', '8 GB'].map(sizeBytes)).toEqual([1.5 * 2 ** 30, 1.5 * 2 ** 30, 24 * 2 ** 30, 8 * 2 ** 30]);
  expect(['N/A', '[N/A]', '[Not Supported]', '12', '-1 GB', '0 MiB', '1.234.567 MB', 'GB', ''].map(sizeBytes)).toEqual(Array(9).fill(null));
});

test("a Mac's battery tells percent, or charge of the most; a Mac without one is on mains", () => {
  expect(parseSmartBattery('')).toEqual({ source: 'mains', percent: null });
  expect(parseSmartBattery('      "CurrentCapacity" = 2600\n      "MaxCapacity" = 5200\n      "ExternalConnected" = Yes\n')).toEqual({
    source: 'mains',
    percent: 50,
  });
  expect(parseSmartBattery('something else')).toEqual({ source: null, percent: null });
});
