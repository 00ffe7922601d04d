import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { GpuSample } from '../contract/telemetry.ts';
import {
  APP_FIELDS,
  type AppReading,
  GPU_FIELDS,
  type NvidiaReading,
  parseAppLine,
  parseGpuLine,
  unknownField,
  withoutField,
} from './nvidia-lines.ts';
import { streamTool } from './stream.ts';

/** One look a second; of the programs on a GPU, whose memory changes rarely, every five. */
const GPU_EVERY_MS = 1000;
const APPS_EVERY_MS = 5000;
/** It takes some seconds to start on a machine whose driver isn't kept loaded. */
const SILENCE_MS = 10_000;
const FIRST_BACK_OFF_MS = 1000;
/** A reading that is older says nothing of now. */
const STALE_MS = 3000;
const APPS_STALE_MS = 12_000;
const MAX_GPUS = 64;
const MAX_APPS = 4096;

/** What NVIDIA's own tool tells of its GPUs while it is started. */
export interface NvidiaSource {
  start(): void;
  stop(): void;
  /** Every GPU that was told of lately. @param ours processes of our workers; null: not known which */
  read(ours: ReadonlySet<number> | null): GpuSample[];
  /** Its processes, to be counted with what telemetry costs. */
  pids(): number[];
}

interface NvidiaOptions {
  /** The tool's file, or one that behaves like it. */
  program: string;
  /** Any clock in ms. */
  now?: () => number;
  firstBackOffMs?: number;
  silenceMs?: number;
}

/** Streams nvidia-smi: one child for the GPUs, and one that looks seldom for the programs on them, which it can't tell together. */
export function nvidiaSource(options: NvidiaOptions): NvidiaSource {
  const { program, now = () => performance.now(), firstBackOffMs = FIRST_BACK_OFF_MS, silenceMs = SILENCE_MS } = options;
  const latest = new Map<string, { reading: NvidiaReading; at: number }>();
  let fields = GPU_FIELDS;
  let appFields = APP_FIELDS;
  let apps: AppReading[] = [];
  let appsAt = Number.NEGATIVE_INFINITY;
  /** Whether programs were ever told of: a tool that tells of none may be one that can't. */
  let tellsApps = false;

  const gpus = streamTool({
    program,
    args: () => [`--query-gpu=${fields.join(',')}`, '--format=csv,noheader,nounits', `--loop-ms=${GPU_EVERY_MS}`],
    onLine(line) {
      const reading = parseGpuLine(line, fields);
      if (reading !== null) {
        if (latest.size < MAX_GPUS || latest.has(reading.gpu)) latest.set(reading.gpu, { reading, at: now() });
        return 'good';
      }
      const unknown = unknownField(line);
      if (unknown === null || !fields.includes(unknown)) return 'bad';
      fields = withoutField(fields, unknown);
      return 'again';
    },
    silenceMs,
    firstBackOffMs,
  });

  const programs = streamTool({
    program,
    args: () => [`--query-compute-apps=${appFields.join(',')}`, '--format=csv,noheader,nounits', `--loop-ms=${APPS_EVERY_MS}`],
    onLine(line) {
      const app = parseAppLine(line, appFields);
      if (app === null) {
        const unknown = unknownField(line);
        if (unknown === null || !appFields.includes(unknown)) return 'bad';
        appFields = withoutField(appFields, unknown);
        return 'again';
      }
      if (apps[0]?.stamp !== app.stamp) apps = [];
      if (apps.length < MAX_APPS) apps.push(app);
      appsAt = now();
      tellsApps = true;
      return 'good';
    },
    // Where nothing computes it has nothing to tell.
    silenceMs: 0,
    firstBackOffMs,
  });

  function memoryOf(gpu: string, used: number | null, ours: ReadonlySet<number> | null) {
    const unknown = { memoryOursBytes: null, memoryOthersBytes: null };
    if (ours === null || used === null || !tellsApps || now() - appsAt > APPS_STALE_MS) return unknown;
    let bytes = 0;
    for (const app of apps) {
      if (app.gpu !== gpu || !ours.has(app.pid)) continue;
      if (app.memoryBytes === null) return unknown;
      bytes += app.memoryBytes;
    }
    return bytes > used ? unknown : { memoryOursBytes: bytes, memoryOthersBytes: used - bytes };
  }

  return {
    start() {
      gpus.start();
      programs.start();
    },
    stop() {
      gpus.stop();
      programs.stop();
      latest.clear();
      apps = [];
      appsAt = Number.NEGATIVE_INFINITY;
    },
    read: (ours) =>
      Array.from(latest.values())
        .filter(({ at }) => now() - at <= STALE_MS)
        .map(({ reading }) => ({ ...reading, ...memoryOf(reading.gpu, reading.memoryUsedBytes, ours) })),
    pids: () => [gpus.pid, programs.pid].filter((pid) => pid !== undefined),
  };
}

/** Where nvidia-smi lies on this machine, by a whole path: where drivers put it, then where PATH leads (NixOS); null where the driver isn't installed. */
export function findNvidiaSmi(platform: NodeJS.Platform, env: NodeJS.ProcessEnv): string | null {
  if (platform === 'win32') {
    const system = join(env.SystemRoot ?? 'C:\\Windows', 'System32');
    const older = join(env.ProgramFiles ?? 'C:\\Program Files', 'NVIDIA Corporation', 'NVSMI');
    return [system, older].map((folder) => join(folder, 'nvidia-smi.exe')).find((path) => existsSync(path)) ?? null;
  }
  if (platform !== 'linux') return null;
  const folders = ['/usr/bin', '/usr/lib/wsl/lib', '/usr/local/bin', '/opt/bin', ...(env.PATH ?? '').split(delimiter)];
  const absolute = folders.filter((folder) => folder.startsWith('/'));
  return absolute.map((folder) => join(folder, 'nvidia-smi')).find((path) => existsSync(path)) ?? null;
}
