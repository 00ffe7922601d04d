import type { Backend } from '../../core/contract/backends.ts';
import { message, messageOf } from '../../core/contract/messages.ts';
import type { CallOutput } from '../../core/contract/rpc.ts';

type Report = Pick<CallOutput<'doctor.report'>, 'hardware' | 'computing'>;

/** What computes on this machine: each GPU's backends as they were tried, what would help those that don't work, and who works now. */
export function backendRows({ hardware, computing }: Report): string[][] {
  const rows = hardware.gpus.flatMap(({ name, backends }) => backends.flatMap((backend) => rowsOf(name, backend)));
  const workers = computing.workers.map(({ gpu, backend }) => {
    const name = hardware.gpus.find(({ id }) => id === gpu)?.name ?? gpu ?? '';
    return [message('cli.doctor.computes'), message('cli.doctor.computes-on', { name, backend: message(`backend.name.${backend}`) })];
  });
  const none = computing.reason === null ? [] : [[message('cli.doctor.computes'), messageOf(computing.reason)]];
  return [...rows, ...hardware.cpu.backends.flatMap((backend) => rowsOf(hardware.cpu.model, backend)), ...workers, ...none];
}

function rowsOf(device: string, backend: Backend): string[][] {
  const name = message(`backend.name.${backend.name}`);
  const { works, firstMs, difference, reason, remedy } = backend;
  const measured = firstMs === null ? 'no' : backend.name === 'cpu' ? 'cpu' : 'yes';
  const found = works
    ? message('cli.doctor.backend-works', { name, device, measured, ms: firstMs ?? 0, difference: difference?.toExponential(1) ?? '' })
    : message('cli.doctor.backend-fails', { name, device, reason: reason === null ? '' : messageOf(reason) });
  return [[message('cli.doctor.backend'), found], ...(remedy === null ? [] : [[message('cli.doctor.remedy'), messageOf(remedy)]])];
}
