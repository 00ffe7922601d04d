import { dirname, join, posix } from 'node:path';
import type { IsolationReport } from '../../contract/isolation.ts';
import { type DeviceAccess, NO_DEVICE } from './device-access.ts';
import { seatbeltProfile } from './seatbelt.ts';
import { seccompFilter } from './seccomp.ts';

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
  /** What /proc of the host holds beside processes: all but a few entries are covered up. Empty but on Linux. */
  procEntries: Array<{ name: string; folder: boolean }>;
  /** The one read-only folder that the worker sees as its models; the agent hard-links files into it later. */
  modelsDir: string;
  /** Size of the private tmpfs. */
  scratchBytes: number;
  /** Bound of the JavaScript heap in MiB: V8's `--max-old-space-size`. */
  heapMiB: number;
  /** Node's own permission model as a second wall. The probe runs without it. */
  permission: boolean;
  /** The GPU that it computes on; null for the CPU. */
  device: DeviceAccess | null;
}

/** A command to start a worker with. `spawnLaunch` runs it. */
export interface Launch {
  command: string;
  args: string[];
  /** The whole environment of the command; nothing of the agent's is added to it. */
  env: Record<string, string>;
  /** Bytes that the command reads from descriptors 3, 4, …, in this order, before the worker starts. */
  inputs: Uint8Array[];
  /** What the worker sees. No scratch where the platform can't bound its size. */
  inside: {
    modelsDir: string;
    scratchDir: string | null;
    /** All that lies directly in `/`; null where that is the machine's own. */
    rootEntries: string[] | null;
    /** Names of all environment variables. */
    environment: string[];
  };
}

/** What stands between a worker and this machine, as far as trying showed; the probe comes on top. */
export interface Wall extends Omit<IsolationReport, 'probe'> {
  /** Absolute path of the program that builds the wall; null for `none`. */
  program: string | null;
  features: BubblewrapFeatures;
}

/** What not every bubblewrap can do, and none that is installed setuid. */
export interface BubblewrapFeatures {
  /** `--disable-userns`, from 0.8 on. The system call filter refuses new namespaces as well. */
  disableUserNamespaces: boolean;
  /** `--size` of a tmpfs, from 0.7 on. Without it there is no scratch, and nothing at all is writable. */
  boundedScratch: boolean;
}

/** From 1.29 on ONNX Runtime reports home over HTTPS unless this is set before it loads. */
const NO_TELEMETRY = { ORT_DISABLE_TELEMETRY: '1' };
const MODELS = '/models';
const SCRATCH = '/scratch';
const APP = '/app';
/** ONNX Runtime's own files on Linux. They are named one by one where others are put beside them. */
const BINARIES = ['onnxruntime_binding.node', 'libonnxruntime.so.1'];
export const DEVICES = ['/dev/null', '/dev/zero', '/dev/random', '/dev/urandom'];
/** ONNX Runtime and V8 size themselves by these; `sys` has the allocator's settings, `mounts` and `net` are links into `self`. */
const PROC_KEPT = new Set([
  'cgroups',
  'cpuinfo',
  'filesystems',
  'loadavg',
  'meminfo',
  'mounts',
  'net',
  'self',
  'stat',
  'sys',
  'thread-self',
  'uptime',
  'version',
  'vmstat',
]);
/** Where a dynamic loader looks without being told, whatever the distribution: FHS, and Debian's multiarch folders below it. */
const LIBRARY_DIRS = /^(\/usr)?\/lib(32|64)?(\/[a-z0-9_]+-linux-(gnu|musl)[a-z0-9]*)?(\/glibc-hwcaps\/[\w-]+)?$/;

/** How to start a worker behind this wall. */
export function planLaunch(wall: Wall, needs: SandboxNeeds): Launch {
  if (wall.program === null) return planBare(needs);
  return wall.wall === 'bubblewrap' ? planBubblewrap(wall.program, needs, wall.features) : planSandboxExec(wall.program, needs);
}

/**
 * Linux: every namespace of its own, a root that holds this allow-list and nothing else, no capability, a system call filter.
 * Numbers of user and group say nothing of who runs it; outside it is still the agent's user, so everything shared is mounted read-only.
 */
export function planBubblewrap(program: string, needs: SandboxNeeds, features: BubblewrapFeatures): Launch {
  const device = needs.device ?? NO_DEVICE;
  const filter = seccompFilter(needs.arch, device.ioctls);
  const libraries = [...new Set([...needs.libraries, ...device.libraries])];
  const binaries = `bin/napi-v6/${needs.platform}/${needs.arch}`;
  const readOnly = (from: string, to = from): string[] => ['--ro-bind', from, to];
  const packageFiles = (folder: string, name: string, entries: string[]): string[] =>
    entries.flatMap((entry) => readOnly(posix.join(folder, entry), `${APP}/node_modules/${name}/${entry}`));
  const scratchDir = features.boundedScratch ? SCRATCH : null;
  const home = scratchDir ?? '/';
  const env = { ...NO_TELEMETRY, HOME: home, TMPDIR: home, ...libraryPath(libraries), ...device.environment };
  const args = [
    ...['--unshare-all', '--unshare-user', '--uid', '65534', '--gid', '65534', '--hostname', 'worker'],
    ...(features.disableUserNamespaces ? ['--disable-userns'] : []),
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL'],
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    ...[...libraries, ...device.files].flatMap((path) => readOnly(path)),
    ...device.links.flatMap(({ path, target }) => ['--symlink', target, path]),
    ...readOnly(needs.nodePath, `${APP}/node`),
    ...readOnly(needs.scriptPath, `${APP}/worker.mjs`),
    ...packageFiles(needs.runtimeDirs.onnxruntimeNode, 'onnxruntime-node', [
      'package.json',
      'dist',
      ...(device.providers.length === 0 ? [binaries] : BINARIES.map((name) => `${binaries}/${name}`)),
    ]),
    ...device.providers.flatMap((path) => readOnly(path, `${APP}/node_modules/onnxruntime-node/${binaries}/${posix.basename(path)}`)),
    ...packageFiles(needs.runtimeDirs.onnxruntimeCommon, 'onnxruntime-common', ['package.json', 'dist']),
    ...readOnly(needs.modelsDir, MODELS),
    ...[...DEVICES, ...device.nodes].flatMap((node) => ['--dev-bind', node, node]),
    ...['--proc', '/proc'],
    ...coverProc(needs.procEntries, device.proc),
    // Root of the sandbox is root of the machine when the agent runs as root, and then /proc/sys obeys it: it must not be writable.
    ...['--remount-ro', '/proc'],
    ...(scratchDir === null ? [] : ['--size', String(needs.scratchBytes), '--tmpfs', scratchDir]),
    // bubblewrap's root is a tmpfs, writable and without a bound.
    ...['--remount-ro', '/'],
    ...(filter === null ? [] : ['--seccomp', '3']),
    ...['--chdir', home, '--', `${APP}/node`],
    ...nodeArgs(needs, [`${APP}/`, `${MODELS}/`], scratchDir === null ? [] : [`${scratchDir}/`]),
    `${APP}/worker.mjs`,
  ];
  // The environment is cleared by starting bubblewrap with none, not by its --clearenv: it stays as process 1 inside, and
  // /proc/1/environ shows what it was started with.
  return {
    command: program,
    args,
    env: {},
    inputs: filter === null ? [] : [filter],
    inside: {
      modelsDir: MODELS,
      scratchDir,
      rootEntries: [
        ...new Set(
          [
            ...[APP, MODELS, '/dev', '/proc', ...(scratchDir === null ? [] : [scratchDir])],
            ...[...libraries, ...device.files, ...device.links.map(({ path }) => path)],
          ].map((path) => path.split('/')[1] ?? ''),
        ),
      ],
      // bubblewrap adds PWD for --chdir.
      environment: [...Object.keys(env), 'PWD'],
    },
  };
}

/** macOS: a profile that denies by default. There is no tmpfs to bound, so nothing at all is writable. */
export function planSandboxExec(program: string, needs: SandboxNeeds): Launch {
  const reads = runtimeFiles(needs);
  return {
    command: program,
    args: [
      '-p',
      seatbeltProfile({ executable: needs.nodePath, reads: [...reads, needs.modelsDir], metal: needs.device?.metal ?? false }),
      needs.nodePath,
      ...nodeArgs(needs, [...reads, `${needs.modelsDir}/`], []),
      needs.scriptPath,
    ],
    env: { ...NO_TELEMETRY },
    inputs: [],
    inside: { modelsDir: needs.modelsDir, scratchDir: null, rootEntries: null, environment: Object.keys(NO_TELEMETRY) },
  };
}

/**
 * No wall: a process of its own with an empty environment. Node's permission model keeps JavaScript from other files and from starting
 * programs. It stops neither native code (ONNX Runtime is an addon) nor the network, so this is never a sandbox.
 */
export function planBare(needs: SandboxNeeds): Launch {
  const env = { ...NO_TELEMETRY, ...needs.device?.environment };
  return {
    command: needs.nodePath,
    args: [...nodeArgs(needs, [...runtimeFiles(needs), ...linkedPackages(needs.scriptPath), `${needs.modelsDir}/`], []), needs.scriptPath],
    env,
    inputs: [],
    inside: { modelsDir: needs.modelsDir, scratchDir: null, rootEntries: null, environment: Object.keys(env) },
  };
}

function nodeArgs(needs: SandboxNeeds, reads: string[], writes: string[]): string[] {
  return [
    `--max-old-space-size=${needs.heapMiB}`,
    ...(needs.permission
      ? [
          '--permission',
          '--allow-addons',
          // stdin is read on a thread of its own.
          '--allow-worker',
          // It warns on every start that addons void the permissions, which is why this is the second wall.
          '--disable-warning=SecurityWarning',
          ...reads.map((path) => `--allow-fs-read=${path}`),
          ...writes.map((path) => `--allow-fs-write=${path}`),
        ]
      : []),
  ];
}

/** Where Node looks for ONNX Runtime on its way up from the script: some installers put links there, which must be readable as links. */
function linkedPackages(scriptPath: string): string[] {
  const found: string[] = [];
  for (let folder = dirname(scriptPath); folder !== dirname(folder); folder = dirname(folder)) {
    found.push(join(folder, 'node_modules', 'onnxruntime-node'));
  }
  return found;
}

/** The files of the program itself where host paths stay what they are. */
function runtimeFiles(needs: SandboxNeeds): string[] {
  return [needs.scriptPath, needs.runtimeDirs.onnxruntimeNode, needs.runtimeDirs.onnxruntimeCommon];
}

/** What of the host's /proc is no process is covered up, but for what Node and ONNX Runtime size themselves by, and what is to be `kept`. */
export function coverProc(entries: SandboxNeeds['procEntries'], kept: readonly string[] = []): string[] {
  return entries
    .filter(({ name }) => !PROC_KEPT.has(name) && !kept.includes(`/proc/${name}`))
    .flatMap(({ name, folder }) => {
      const path = `/proc/${name}`;
      if (!folder) return ['--ro-bind', '/dev/null', path];
      const within = kept.filter((each) => each.startsWith(`${path}/`)).flatMap((each) => ['--ro-bind', each, each]);
      return ['--tmpfs', path, ...within, '--remount-ro', path];
    });
}

/** The loader's cache stays outside, so libraries in a folder that it doesn't look through by itself are named. */
export function libraryPath(libraries: string[]): { LD_LIBRARY_PATH?: string } {
  const unusual = new Set(libraries.map((path) => posix.dirname(path)).filter((folder) => !LIBRARY_DIRS.test(folder)));
  return unusual.size === 0 ? {} : { LD_LIBRARY_PATH: [...unusual].join(':') };
}
