import { mkdir, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname } from 'node:path';
import { app } from 'electron';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import type { Deps, Feature } from '../feature.ts';
import { autostartEntry, autostartPath, startCommand } from './autostart.ts';

/** Keeps the session's list of programs as the setting says: at every start, and when it is changed. */
export function initLogin({ options, appPath, onSettings, troubles }: Deps): Feature {
  const command = startCommand({
    packaged: app.isPackaged,
    execPath: process.execPath,
    appPath,
    dataDirOption: options.dataDir,
    appImage: process.env.APPIMAGE,
  });

  async function apply(wanted: boolean): Promise<void> {
    if (process.platform !== 'linux') {
      app.setLoginItemSettings({ openAtLogin: wanted, path: command.program, args: command.args });
      return;
    }
    const path = autostartPath(process.env, homedir());
    try {
      if (!wanted) {
        await rm(path, { force: true });
        return;
      }
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, autostartEntry(message('desktop.name'), command));
    } catch (cause) {
      throw new HearthlendError('FILE_UNWRITABLE', { path, detail: (cause as Error).message }, { cause });
    }
  }

  let applied: Promise<void> = Promise.resolve();
  return {
    onLoad() {
      onSettings(({ startAtLogin }) => {
        applied = applied.then(() => apply(startAtLogin)).catch(troubles.tell);
      });
    },
    onQuit: () => applied,
  };
}
