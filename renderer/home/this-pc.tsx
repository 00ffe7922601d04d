import type { Gpu, HardwareReport } from '../../core/contract/hardware.ts';
import { message } from '../../core/contract/messages.ts';

/** Memory is counted in powers of two, disks in powers of ten, as their makers and systems do. */
const MEMORY_GB_BYTES = 2 ** 30;
const DISK_GB_BYTES = 1e9;

/** The hardware as known so far. */
export function ThisPc({ hardware }: { hardware: HardwareReport | null }): React.ReactNode {
  return (
    <section className="card" aria-labelledby="pc">
      <div className="head">
        <h2 id="pc">{message('screen.pc')}</h2>
      </div>
      {hardware === null ? <p className="empty">{message('screen.pc.looking')}</p> : <Hardware {...hardware} />}
    </section>
  );
}

function Hardware({ os, cpu, memory, gpus, softwareAdapters, disk }: HardwareReport): React.ReactNode {
  return (
    <dl className="facts">
      <dt>{message('screen.pc.graphics')}</dt>
      <dd>
        {gpus.map((gpu) => (
          <div key={gpu.id}>{gpuWords(gpu)}</div>
        ))}
        {softwareAdapters.map(({ name }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two of the same name differ in nothing else, and the list doesn't move
          <div key={index}>{message('screen.pc.graphics.software', { model: name })}</div>
        ))}
        {gpus.length === 0 && <div>{message('screen.pc.graphics.none')}</div>}
      </dd>
      <dt>{message('screen.pc.processor')}</dt>
      <dd>{message('screen.pc.processor.value', { model: cpu.model, cores: cpu.cores })}</dd>
      <dt>{message('screen.pc.memory')}</dt>
      <dd>{gigabytes(memory.totalBytes, MEMORY_GB_BYTES)}</dd>
      <dt>{message('screen.pc.disk')}</dt>
      <dd>{disk.freeBytes === null ? message('screen.pc.unknown') : gigabytes(disk.freeBytes, DISK_GB_BYTES)}</dd>
      <dt>{message('screen.pc.system')}</dt>
      <dd title={os.release}>{message('screen.pc.system.value', { name: os.name, arch: os.arch })}</dd>
    </dl>
  );
}

function gpuWords({ name, vramBytes }: Gpu): string {
  return vramBytes === null ? name : message('screen.pc.graphics.memory', { model: name, size: gigabytes(vramBytes, MEMORY_GB_BYTES) });
}

function gigabytes(bytes: number, unitBytes: number): string {
  return message('screen.pc.gigabytes', { size: new Intl.NumberFormat('en', { maximumFractionDigits: 1 }).format(bytes / unitBytes) });
}
