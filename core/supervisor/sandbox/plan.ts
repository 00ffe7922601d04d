import type { IsolationReport } from '../../contract/isolation.ts';

/** What a worker must be able to reach, as it lies on the host. Everything else stays outside. */
export interface SandboxNeeds {
  /** The Node binary that runs the script. */
  nodePath: string;
  /** dist/worker/native.mjs or dist/worker/probe.mjs: one file that imports nothing but onnxruntime-node. */
  scriptPath: string;
  /** Package folders on the host. */
  runtimeDirs: { onnxruntimeNode: string; onnxruntimeCommon: string };
  /** `process.platform` and `process.arch` of the Node binary: they name the folder of ONNX Runtime's binaries. */
  platform: NodeJS.Platform;
  arch: string;
  /** Dynamic loader and shared libraries of Node and ONNX Runtime, by the paths under which the loader finds them. Empty but on Linux. */
  libraries: string[];
  /** The one read-only folder that the worker sees as its models; the agent hard-links files into it later. */
  modelsDir: string;
  /** Size of the private tmpfs. */
  scratchBytes: number;
  /** Bound of the JavaScript heap in MiB: V8's `--max-old-space-size`. */
  heapMiB: number;
  /** Node's own permission model as a second wall. The probe runs without it. */
  permission: boolean;
}

/** A command to start a worker with. `spawnLaunch` runs it. */
export interface Launch {
  command: string;
  args: string[];
  /** The whole environment of the command; nothing of the agent's is added to it. */
  env: Record<string, string>;
  /** Bytes that the command reads from descriptors 3, 4, …, in this order, before the worker starts. */
  inputs: Uint8Array[];
  /** Paths as the worker sees them. No scratch where the platform can't bound its size. */
  inside: { modelsDir: string; scratchDir: string | null };
}

/** What stands between a worker and this machine, as far as trying showed; the probe comes on top. */
export interface Wall extends Omit<IsolationReport, 'probe'> {
  /** Absolute path of the program that builds the wall; null for `none`. */
  program: string | null;
}
