import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { app, dialog } from 'electron';
import { describeError, message } from '../core/contract/messages.ts';
import { dataDirPath, openDataDir } from '../core/datadir/open.ts';
import { openLog } from '../core/log/log.ts';
import { announceOn } from './announce.ts';
import { runDesktop } from './desktop.ts';
import { readOptions } from './options.ts';
import { registerScheme } from './pages/pages.ts';
import { createTroubles } from './trouble/troubles.ts';

const options = readOptions(process.argv, process.env);
const announce = announceOn(process.stdout);
const dataDir = resolve(dataDirPath({ option: options.dataDir, env: process.env, platform: process.platform, home: homedir() }));
const log = openLog(join(dataDir, 'agent.log'), Date.now, (line) => process.stderr.write(`${line}\n`));

/** Says why it can't go on, where somebody looks, and ends. What was computed is in the ledger; the next start sorts out the rest. */
function giveUp(thrown: unknown): void {
  const { code, what, next } = describeError(thrown);
  log('error', 'the desktop app ends', { code, stack: thrown instanceof Error ? thrown.stack : String(thrown) });
  announce({ event: 'failed', code, message: what, next });
  if (!options.terminal) dialog.showErrorBox(message('desktop.name'), message('desktop.trouble', { what, next, code }));
  app.exit(1);
}
process.on('uncaughtException', giveUp);
process.on('unhandledRejection', giveUp);

/** What has to be done before Electron is ready. Nothing here may be waited for: it isn't ready until this module has run. */
function prepare(): boolean {
  openDataDir(dataDir);
  // As the installer's shortcut names it (electron-builder.yml): Windows shows notifications of known programs alone.
  app.setAppUserModelId('org.hearthlend.app');
  // Chromium's own files; and with them "single instance" means one for each data folder.
  app.setPath('userData', join(dataDir, 'desktop'));
  if (!app.requestSingleInstanceLock()) {
    announce({ event: 'handed-over' });
    app.exit(0);
    return false;
  }
  app.enableSandbox();
  registerScheme();
  return true;
}

async function run(): Promise<void> {
  await app.whenReady();
  const ask = async (question: { message: string; detail: string; buttons: string[] }) =>
    (await dialog.showMessageBox({ type: 'warning', title: message('desktop.name'), noLink: true, ...question })).response;
  const troubles = createTroubles(ask, log);
  await runDesktop({ options, dataDir, log, announce, troubles });
  app.exit(0);
}

try {
  if (prepare()) run().catch(giveUp);
} catch (error) {
  giveUp(error);
}
