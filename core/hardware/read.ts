import { readFile, statfs } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, release, totalmem, version } from 'node:os';
import type { HardwareReport } from '../contract/hardware.ts';
import { reportAdapters } from './adapters.ts';
import { gpusFromAdapters, gpusFromPci } from './gpus.ts';
import { readPciAdapters } from './pci.ts';

/** A whole inventory takes no longer than this: what isn't known by then is left out. */
const GPU_TIMEOUT_MS = 2500;
const FILE_TIMEOUT_MS = 500;

/**
 * Takes stock of this machine. To be called once: asking for the GPUs starts several programs. Never throws; ends within 3 s.
 * @param options.dataDir the folder whose disk is meant
 * @param options.nodePath a real Node binary, to ask for the GPUs in a process of its own
 */
export async function readHardware(options: { dataDir: string; nodePath?: string }): Promise<HardwareReport> {
  const [adapters, pci, freeBytes, osName] = await Promise.all([
    reportAdapters(options.nodePath ?? process.execPath, GPU_TIMEOUT_MS),
    platform() === 'linux' ? within(FILE_TIMEOUT_MS, readPciAdapters(), []) : [],
    within(FILE_TIMEOUT_MS, readFreeBytes(options.dataDir), null),
    within(FILE_TIMEOUT_MS, readOsName(), version()),
  ]);
  const reported = gpusFromAdapters(adapters, platform());
  return {
    os: { platform: platform(), name: osName, release: release(), arch: arch() },
    cpu: { model: cpus()[0]?.model.trim() || arch(), cores: availableParallelism() },
    memory: { totalBytes: memoryBytes() },
    machine: { formFactor: null, name: null, virtualMachine: null, hypervisor: null, container: null, wsl: /microsoft/i.test(release()) },
    power: { source: null, percent: null },
    ...(reported.gpus.length > 0 ? reported : gpusFromPci(pci)),
    disk: { freeBytes },
    problems: [],
  };
}

/** What this process may use: a container's share where it has one. */
function memoryBytes(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}

async function readFreeBytes(folder: string): Promise<number | null> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch {
    // A folder that is not there yet, or a disk that doesn't say: unknown, and never a guess.
    return null;
  }
}

async function readOsName(): Promise<string> {
  if (platform() !== 'linux') return version();
  const facts = await readFile('/etc/os-release', 'utf8').catch(() => '');
  return /^PRETTY_NAME="?([^"\n]{1,200})"?$/m.exec(facts)?.[1] ?? 'Linux';
}

function within<T>(ms: number, reading: Promise<T>, otherwise: T): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms, otherwise);
    reading.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
