import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { messageOf } from '../../../core/contract/messages.ts';
import { type Asked, hardwareProblems } from '../../../core/hardware/problems.ts';
import { gpu } from '../../fakes/hardware.ts';

const RECORDED = join(import.meta.dirname, '../../fixtures/hardware/nvidia-smi');
const nvidiaSmiSaid = (file: string): Asked => {
  const said = readFileSync(join(RECORDED, file), 'utf8');
  return { tool: 'nvidia-smi', answer: { outcome: 'failed', output: said, said }, unreadable: true };
};
const answered = (tool: string, unreadable: boolean): Asked => ({
  tool,
  answer: { outcome: 'answered', output: '', said: '' },
  unreadable,
});
const keys = (...question: Parameters<typeof hardwareProblems>) => hardwareProblems(...question).map(({ gpu: id, what }) => [id, what.key]);

test.each([
  ['mismatch.txt', 'hardware.nvidia-mismatch'],
  ['mismatch-580.txt', 'hardware.nvidia-mismatch'],
  ['not-loaded.txt', 'hardware.nvidia-not-loaded'],
  ['lost.txt', 'hardware.nvidia-no-devices'],
  ['blocked.txt', 'hardware.nvidia-blocked'],
])('what nvidia-smi says in %s is told once, with what helps', (file, key) => {
  const problems = hardwareProblems([gpu({ driver: null })], [nvidiaSmiSaid(file)], true);
  expect(problems.map(({ what }) => what.key)).toEqual([key]);
  for (const { what, next } of problems) for (const words of [what, next]) expect(messageOf(words as typeof what)).toMatch(/\.$/);
});

test('a driver that finds no card is no problem where there is none, and is one where nobody else tells', () => {
  expect(keys([], [nvidiaSmiSaid('no-devices.txt')], true)).toEqual([]);
  expect(keys([], [nvidiaSmiSaid('no-devices.txt')], false)).toEqual([[null, 'hardware.nvidia-no-devices']]);
});

test('a card without a driver that can compute is told by name, unless it is a slice or a share', () => {
  const nouveau = gpu({ driver: 'nouveau' });
  expect(keys([nouveau], [], true)).toEqual([[nouveau.id, 'hardware.nvidia-no-driver']]);
  expect(messageOf(hardwareProblems([nouveau], [], true)[0]?.what as Parameters<typeof messageOf>[0])).toContain(nouveau.name);
  expect(keys([gpu({ driver: 'vfio-pci' })], [], true)).toEqual([[nouveau.id, 'hardware.gpu-set-aside']]);
  expect(keys([gpu({ vendor: 'AMD', driver: null })], [], true)).toEqual([[nouveau.id, 'hardware.gpu-no-driver']]);
  expect(keys([gpu({ driver: 'nvidia' })], [], true)).toEqual([]);
  // Windows and macOS don't tell which driver has a card.
  expect(keys([gpu({ driver: null })], [], false)).toEqual([]);
});

test('a tool that hangs, floods or says what nobody can read is told of; one that is missing or fails is not', () => {
  const asked: Asked[] = [
    { tool: 'vulkaninfo', answer: { outcome: 'timeout', output: '' }, unreadable: false },
    { tool: 'systeminformation', answer: { outcome: 'timeout', output: '' }, unreadable: true },
    { tool: 'lspci', answer: { outcome: 'flooded' }, unreadable: true },
    answered('nvidia-smi', true),
    answered('reg', false),
    { tool: 'rocm-smi', answer: { outcome: 'missing' }, unreadable: true },
    { tool: 'amd-smi', answer: { outcome: 'failed', output: '', said: '' }, unreadable: true },
  ];
  expect(keys([], asked, true)).toEqual([
    [null, 'hardware.tool-timeout'],
    [null, 'hardware.windows-timeout'],
    [null, 'hardware.tool-flooded'],
    [null, 'hardware.tool-unreadable'],
  ]);
});
