import { statfs } from 'node:fs/promises';
import { arch, availableParallelism, cpus, platform, release, totalmem, version } from 'node:os';
import { join } from 'node:path';
import type { HardwareReport } from '../contract/hardware.ts';
import { joinSightings } from './join.ts';
import { readLinuxMachine, readLinuxPower } from './linux-machine.ts';
import type { MachineFacts, PowerFacts } from './machine.ts';
import { readPciBus } from './pci-bus.ts';
import { hardwareProblems } from './problems.ts';
import { smallFile } from './small-file.ts';
import { askSource, sourceTools } from './sources.ts';

/** A whole inventory takes no longer than 3 s: what isn't known by then is left out. */
const TOOL_TIMEOUT_MS = 2500;
const FILE_TIMEOUT_MS = 1000;

const NO_MACHINE: MachineFacts = { formFactor: null, name: null, virtualMachine: null, hypervisor: null, container: null, wsl: false };
const NO_POWER: PowerFacts = { source: null, percent: null };

export interface InventoryQuestion {
  /** The folder whose disk is meant. */
  dataDir: string;
  /** A real Node binary, to ask systeminformation in a process of its own. */
  nodePath?: string;
  /** What the tools' environment is made from; its PATH finds them. */
  env?: NodeJS.ProcessEnv;
  /** Where /sys and /proc are. */
  root?: string;
}

/** Takes stock of this machine. To be called once: asking for the GPUs starts several programs. Never throws; ends within 3 s. */
export async function readHardware({ dataDir, nodePath, env, root = '/' }: InventoryQuestion): Promise<HardwareReport> {
  const isLinux = platform() === 'linux';
  const tools = sourceTools(platform(), nodePath ?? process.execPath);
  const [answers, bus, linuxMachine, linuxPower, freeBytes, osName] = await Promise.all([
    Promise.all(tools.map((tool) => askSource(tool, TOOL_TIMEOUT_MS, env ?? process.env))),
    isLinux ? within(FILE_TIMEOUT_MS, readPciBus(root, release()), []) : [],
    isLinux ? within(FILE_TIMEOUT_MS, readLinuxMachine(root), NO_MACHINE) : NO_MACHINE,
    isLinux ? within(FILE_TIMEOUT_MS, readLinuxPower(root), NO_POWER) : NO_POWER,
    within(FILE_TIMEOUT_MS, readFreeBytes(dataDir), null),
    within(FILE_TIMEOUT_MS, readOsName(root), version()),
  ]);
  const { gpus, softwareAdapters } = joinSightings([...bus, ...answers.flatMap(({ sightings }) => sightings)]);
  const asked = answers.map((answer) => answer.asked);
  const machine: MachineFacts = Object.assign({}, linuxMachine, ...answers.map((answer) => answer.machine));
  return {
    os: { platform: platform(), name: osName, release: release(), arch: arch() },
    machine,
    cpu: { model: cpus()[0]?.model.trim() || arch(), cores: availableParallelism() },
    memory: { totalBytes: memoryBytes() },
    power: answers.find(({ power }) => power !== undefined)?.power ?? linuxPower,
    gpus: gpus.slice(0, 128),
    softwareAdapters: softwareAdapters.slice(0, 64),
    disk: { freeBytes },
    problems: hardwareProblems(gpus, asked, isLinux && !machine.wsl).slice(0, 32),
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

async function readOsName(root: string): Promise<string> {
  if (platform() !== 'linux') return version();
  const facts = await smallFile(join(root, 'etc/os-release'));
  return /^PRETTY_NAME="?([^"\n]{1,200})"?$/m.exec(facts)?.[1] ?? 'Linux';
}

/** What a disk that hangs or fails was asked for is unknown. */
async function within<T>(ms: number, reading: Promise<T>, otherwise: T): Promise<T> {
  const { promise: timeout, resolve } = Promise.withResolvers<T>();
  const timer = setTimeout(resolve, ms, otherwise);
  const told = await Promise.race([reading.catch(() => otherwise), timeout]);
  clearTimeout(timer);
  return told;
}
