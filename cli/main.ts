import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { dataDirPath } from '../core/datadir/open.ts';
import { findInstallation } from './ports/installation.ts';
import { runCommandLine } from './program.ts';
import { processKeyboard } from './terminal/keyboard.ts';
import { processSignals } from './terminal/signals.ts';

const installation = findInstallation(fileURLToPath(import.meta.url));
const { version, uiFolder } = installation;

// The agent's parts are loaded by the commands that need them: a command that talks to a running agent answers in a third of the time.
const ports = async (dataDir: string) => (await import('./ports/app-ports.ts')).appPorts({ dataDir, installation });

const exitCode = await runCommandLine(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  platform: process.platform,
  uid: process.getuid?.(),
  cwd: process.cwd(),
  clock: Date.now,
  dataDir: (option) => resolve(dataDirPath({ option, env: process.env, platform: process.platform, home: homedir() })),
  signals: processSignals(process.stdout),
  keyboard: processKeyboard(process.stdin, process.stderr),
  version,
  uiFolder,
  openApp: async (dataDir) => (await import('../core/app.ts')).createApp(await ports(dataDir)),
  verifyLedger: async (dataDir) => (await import('../core/verify.ts')).verifyDataDir(dataDir),
  async diagnose(dataDir, report) {
    const { collectDiagnostics } = await import('../core/diagnostics.ts');
    return collectDiagnostics({ dataDir, version, home: homedir(), env: process.env, parts: (await ports(dataDir)).parts, report });
  },
  async addBackend(request) {
    const { addBackend } = await import('../core/backend-adding.ts');
    return addBackend({ ...request, parts: (await ports(request.dataDir)).parts });
  },
  operate: async (request) => (await import('./operator/operate.ts')).operate(request, installation),
  escrowDesk: async (dir) => (await import('./operator/escrow-desk.ts')).openEscrowDesk(dir, installation),
  shareNetwork: async (dir, out) => (await import('./operator/operate.ts')).shareNetwork(dir, out),
  async *bench(dataDir, quick) {
    const [{ runBench }, { appPorts }, { benchCoordinators }] = await Promise.all([
      import('../core/bench.ts'),
      import('./ports/app-ports.ts'),
      import('./ports/bench-coordinators.ts'),
    ]);
    const command = [process.execPath, fileURLToPath(import.meta.url)] as const;
    yield* runBench({
      ports: (folder) => appPorts({ dataDir: folder, installation }),
      coordinators: benchCoordinators,
      dataDir,
      command: [...command],
      quick,
    });
  },
});
// Everything is closed by now. Output that a slow reader hasn't taken yet is waited for; a timer that somebody forgot is not.
process.stdout.write('', () => process.exit(exitCode));
