import { homedir } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createApp } from '../core/app.ts';
import { addBackend } from '../core/backend-adding.ts';
import { runBench } from '../core/bench.ts';
import { dataDirPath } from '../core/datadir/open.ts';
import { collectDiagnostics } from '../core/diagnostics.ts';
import { verifyDataDir } from '../core/verify.ts';
import { appPorts } from './ports/app-ports.ts';
import { findInstallation } from './ports/installation.ts';
import { runCommandLine } from './program.ts';
import { processKeyboard } from './terminal/keyboard.ts';
import { processSignals } from './terminal/signals.ts';

const installation = findInstallation(fileURLToPath(import.meta.url));
const { version, uiFolder } = installation;

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
  openApp: (dataDir) => createApp(appPorts({ dataDir, installation })),
  verifyLedger: verifyDataDir,
  diagnose: (dataDir, report) =>
    collectDiagnostics({
      dataDir,
      version,
      home: homedir(),
      env: process.env,
      parts: appPorts({ dataDir, installation }).parts,
      report,
    }),
  addBackend: (request) => addBackend({ ...request, parts: appPorts({ dataDir: request.dataDir, installation }).parts }),
  bench: (dataDir, quick) =>
    runBench({
      ports: (folder) => appPorts({ dataDir: folder, installation }),
      dataDir,
      command: [process.execPath, fileURLToPath(import.meta.url)],
      quick,
    }),
});
// Everything is closed by now. Output that a slow reader hasn't taken yet is waited for; a timer that somebody forgot is not.
process.stdout.write('', () => process.exit(exitCode));
