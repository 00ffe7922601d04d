import type { Gpu, HardwareReport } from '../../core/contract/hardware.ts';
import { apiWords, driverWords, gpuWords, linkWords, machineWords, memoryText, powerWords } from '../../core/contract/hardware-words.ts';
import { type MessageKey, message, messageOf } from '../../core/contract/messages.ts';

const GB = 1e9;
const row = (key: MessageKey, value: string): string[] => [message(key), value];

/** The machine, its GPUs with what is known of each, and what stands in the way with what would help. */
export function machineRows({ os, machine, cpu, memory, power, gpus, softwareAdapters, disk, problems }: HardwareReport): string[][] {
  const runsOn = powerWords(power);
  return [
    row('cli.doctor.os', `${os.name} ${os.release} (${os.arch})`),
    row('pc.machine', machineWords(machine)),
    ...(runsOn === null ? [] : [row('pc.power', runsOn)]),
    row('cli.doctor.cpu', message('cli.doctor.cpu-cores', { model: cpu.model, cores: cpu.cores })),
    row('cli.doctor.memory', memoryText(memory.totalBytes)),
    row(
      'cli.doctor.disk',
      disk.freeBytes === null ? message('cli.doctor.unknown') : message('cli.doctor.gigabytes', { gigabytes: disk.freeBytes / GB }),
    ),
    ...(gpus.length === 0 ? [row('cli.doctor.gpu', message('cli.doctor.no-gpu'))] : gpus.flatMap(gpuRows)),
    ...softwareAdapters.map(({ name }) => row('cli.doctor.gpu', message('cli.doctor.software-gpu', { name }))),
    ...problems.flatMap(({ what, next }) => [
      row('cli.doctor.problem', messageOf(what)),
      ...(next === null ? [] : [row('cli.doctor.remedy', messageOf(next))]),
    ]),
  ];
}

/** A slice is as its GPU is, but for what its first line says. */
function gpuRows(gpu: Gpu): string[][] {
  const first = row('cli.doctor.gpu', message('cli.doctor.gpu-is', { name: gpu.name, words: gpuWords(gpu) }));
  if (gpu.mig?.role === 'slice') return [first, row('pc.gpu.address', gpu.id)];
  const link = linkWords(gpu);
  return [
    first,
    row('pc.gpu.driver', driverWords(gpu)),
    row('pc.gpu.apis', apiWords(gpu)),
    ...(link === null ? [] : [row('pc.gpu.link', link)]),
    ...(gpu.pci === null ? [] : [row('pc.gpu.address', gpu.id)]),
  ];
}
