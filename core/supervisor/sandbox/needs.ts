import { readdirSync, realpathSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { HearthlendError } from '../../contract/errors.ts';
import { resolveLibraries } from './libraries.ts';
import type { SandboxNeeds } from './plan.ts';

export interface NeedsRequest {
  /** The Node binary for the worker; headless: the running one. */
  nodePath: string;
  /** The bundled script, an absolute path. */
  scriptPath: string;
  modelsDir: string;
  scratchBytes: number;
  heapMiB: number;
}

/**
 * Finds on this machine what a worker needs: ONNX Runtime as the script would import it, and the shared libraries. Takes some 30 ms on
 * Linux, where the dynamic loader is asked; do it once and change `scriptPath` or `permission` afterwards.
 * @throws WORKER_START_FAILED where something of it is missing.
 */
export async function resolveNeeds(request: NeedsRequest): Promise<SandboxNeeds> {
  const { platform, arch } = process;
  const paths = { nodePath: resolved(request.nodePath), scriptPath: resolved(request.scriptPath), modelsDir: resolved(request.modelsDir) };
  const onnxruntimeNode = packageFolder('onnxruntime-node', paths.scriptPath);
  const runtimeDirs = { onnxruntimeNode, onnxruntimeCommon: packageFolder('onnxruntime-common', join(onnxruntimeNode, 'package.json')) };
  const binaries = join(onnxruntimeNode, 'bin/napi-v6', platform, arch);
  return {
    ...request,
    ...paths,
    runtimeDirs,
    platform,
    arch,
    libraries:
      platform === 'linux' ? await resolveLibraries(paths.nodePath, [join(binaries, 'onnxruntime_binding.node')], [onnxruntimeNode]) : [],
    procEntries: platform === 'linux' ? listProc() : [],
    permission: true,
    device: null,
  };
}

/** Where `name` lies for a module at `from`. Its own entry need not load, so a broken binary shows later, where it is handled. */
function packageFolder(name: string, from: string): string {
  let main: string;
  try {
    main = createRequire(from).resolve(name);
  } catch (cause) {
    throw new HearthlendError('WORKER_START_FAILED', { detail: `the package ${name} is not installed` }, { cause });
  }
  for (let folder = dirname(main); folder !== dirname(folder); folder = dirname(folder)) {
    if (folder.endsWith(name)) return realpathSync(folder);
  }
  throw new HearthlendError('WORKER_START_FAILED', { detail: `the package ${name} has no folder of its own: ${main}` });
}

function resolved(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new HearthlendError('WORKER_START_FAILED', { detail: `${path} is not there` }, { cause });
  }
}

/** Files and folders of /proc that are no process. Links lead into a process and hide nothing. */
export function listProc(): SandboxNeeds['procEntries'] {
  return readdirSync('/proc', { withFileTypes: true })
    .filter((entry) => !/^\d+$/.test(entry.name) && !entry.isSymbolicLink())
    .map((entry) => ({ name: entry.name, folder: entry.isDirectory() }));
}
