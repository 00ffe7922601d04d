import { coverProc, DEVICES, type Launch, libraryPath, type SandboxNeeds, type Wall } from './plan.ts';
import { seatbeltProfile } from './seatbelt.ts';
import { seccompFilter } from './seccomp.ts';

/** What the wallet's signer must be able to reach: Node, its script, and the wallet's folder, which alone it may write. */
export interface SignerNeeds extends Pick<SandboxNeeds, 'nodePath' | 'scriptPath' | 'arch' | 'libraries' | 'procEntries'> {
  /** Absolute, without links. */
  walletDir: string;
}

const APP = '/app';
const WALLET = '/wallet';
/** Strings and frames; the 128 MiB of scrypt lie outside of V8's heap. */
const HEAP_MIB = 128;

/** How to start the signer behind this wall. Its one argument is the wallet's folder as it sees it. */
export function planSigner(wall: Wall, needs: SignerNeeds): Omit<Launch, 'inside'> {
  if (wall.program === null) return planBare(needs);
  return wall.wall === 'bubblewrap' ? planBubblewrap(wall.program, wall, needs) : planSandboxExec(wall.program, needs);
}

/** As a worker's sandbox (see plan.ts), with one folder that can be written and no scratch. */
function planBubblewrap(program: string, wall: Wall, needs: SignerNeeds): Omit<Launch, 'inside'> {
  const filter = seccompFilter(needs.arch);
  const env = { HOME: '/', TMPDIR: '/', ...libraryPath(needs.libraries) };
  const args = [
    ...['--unshare-all', '--unshare-user', '--hostname', 'signer'],
    ...(wall.features.disableUserNamespaces ? ['--disable-userns'] : []),
    ...['--die-with-parent', '--new-session', '--cap-drop', 'ALL'],
    ...Object.entries(env).flatMap(([name, value]) => ['--setenv', name, value]),
    ...needs.libraries.flatMap((path) => ['--ro-bind', path, path]),
    ...['--ro-bind', needs.nodePath, `${APP}/node`, '--ro-bind', needs.scriptPath, `${APP}/signer.mjs`],
    ...['--bind', needs.walletDir, WALLET],
    ...DEVICES.flatMap((device) => ['--dev-bind', device, device]),
    ...['--proc', '/proc', ...coverProc(needs.procEntries), '--remount-ro', '/proc', '--remount-ro', '/'],
    ...(filter === null ? [] : ['--seccomp', '3']),
    ...['--chdir', '/', '--', `${APP}/node`],
    ...nodeArgs([`${APP}/`, `${WALLET}/`], WALLET),
    `${APP}/signer.mjs`,
    WALLET,
  ];
  return { command: program, args, env: {}, inputs: filter === null ? [] : [filter] };
}

/** macOS: the worker's profile, and the wallet's folder to write in. */
function planSandboxExec(program: string, needs: SignerNeeds): Omit<Launch, 'inside'> {
  const profile = seatbeltProfile({ executable: needs.nodePath, reads: [needs.scriptPath, needs.walletDir] });
  const writes = `(allow file-write* (subpath ${JSON.stringify(needs.walletDir)}))\n`;
  const bare = planBare(needs);
  return { ...bare, command: program, args: ['-p', `${profile}${writes}`, bare.command, ...bare.args] };
}

/** No wall: Node's permission model keeps its JavaScript from other files and from starting programs, not from the network. */
function planBare({ nodePath, scriptPath, walletDir }: SignerNeeds): Omit<Launch, 'inside'> {
  return { command: nodePath, args: [...nodeArgs([scriptPath, `${walletDir}/`], walletDir), scriptPath, walletDir], env: {}, inputs: [] };
}

function nodeArgs(reads: string[], writes: string): string[] {
  return [
    `--max-old-space-size=${HEAP_MIB}`,
    '--permission',
    // stdin is read on a thread of its own.
    '--allow-worker',
    // It warns of that on every start.
    '--disable-warning=SecurityWarning',
    ...reads.map((path) => `--allow-fs-read=${path}`),
    `--allow-fs-write=${writes}/`,
  ];
}
