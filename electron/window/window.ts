import { join } from 'node:path';
import { app, BrowserWindow, dialog, Menu, Notification, nativeTheme, screen } from 'electron';
import { message } from '../../core/contract/messages.ts';
import type { Log } from '../../core/log/log.ts';
import type { Deps, Feature, Window } from '../feature.ts';
import { PAGE_URL } from '../pages/address.ts';
import { placeWindow, SMALLEST } from './bounds.ts';
import { pagePreferences } from './preferences.ts';
import { type Memory, openMemory } from './remember.ts';

/** The grounds of the page, so that no white flash comes before it. */
const GROUND = { dark: '#131110', light: '#f7f4f0' };

export interface WindowParts {
  dataDir: string;
  appPath: string;
  log: Log;
  troubles: Deps['troubles'];
  quitting: Deps['quitting'];
}

/** The one window. Closing it frees its page; the agent works on. */
export function createWindow({ dataDir, appPath, log, troubles, quitting }: WindowParts): Window & { close(): void } {
  const memory = openMemory(dataDir, log);
  let current: BrowserWindow | undefined;

  function open(address = ''): BrowserWindow {
    const workAreas = [screen.getPrimaryDisplay(), ...screen.getAllDisplays()].map(({ workArea }) => workArea);
    const opened = new BrowserWindow({
      ...placeWindow(memory.current.bounds, workAreas),
      minWidth: SMALLEST.width,
      minHeight: SMALLEST.height,
      show: false,
      title: message('desktop.name'),
      icon: join(appPath, 'resources', 'icons', 'tray@2x.png'),
      backgroundColor: nativeTheme.shouldUseDarkColors ? GROUND.dark : GROUND.light,
      autoHideMenuBar: true,
      webPreferences: pagePreferences({ preload: join(appPath, 'dist', 'electron', 'preload.cjs'), devTools: !app.isPackaged }),
    });
    opened.once('ready-to-show', () => {
      if (memory.current.maximized) opened.maximize();
      opened.show();
    });
    opened.on('close', () => {
      memory.change({ bounds: opened.getNormalBounds(), maximized: opened.isMaximized() });
      if (quitting() === null) tellStillHere(memory);
    });
    opened.on('closed', () => {
      if (current === opened) current = undefined;
    });
    opened.loadURL(`${PAGE_URL}${address}`).catch((error: Error) => {
      // A window that was closed while it loaded needs no words.
      if (current === opened) troubles.tell(error);
    });
    return opened;
  }

  function tellStillHere({ current: { toldStillHere } }: Memory): void {
    if (toldStillHere) return;
    memory.change({ toldStillHere: true });
    const title = message('desktop.still-here');
    const body = message('desktop.still-here.body');
    if (Notification.isSupported()) new Notification({ title, body }).show();
    else dialog.showMessageBox({ type: 'info', message: title, detail: body }).catch(troubles.tell);
  }

  return {
    show(address) {
      // The page that is there only changes what it shows.
      if (current !== undefined && address !== undefined) current.loadURL(`${PAGE_URL}${address}`).catch(troubles.tell);
      current ??= open(address);
      if (current.isMinimized()) current.restore();
      if (current.isVisible()) current.focus();
    },
    replace() {
      current?.destroy();
      current = open();
    },
    pageId: () => current?.webContents.id ?? null,
    close: () => current?.close(),
  };
}

/** Shows the window at the start, and keeps the program when it is closed. */
export function initWindow({ options, window, onSettings }: Deps): Feature {
  return {
    onLoad() {
      // Without a listener Electron quits with the last window.
      app.on('window-all-closed', () => undefined);
      app.on('activate', () => window.show());
      // On macOS the menu carries copy and paste; elsewhere it would only offer what breaks the page.
      const roles = process.platform === 'darwin' ? (['appMenu', 'editMenu', 'windowMenu'] as const) : [];
      Menu.setApplicationMenu(Menu.buildFromTemplate(roles.map((role) => ({ role }))));
      onSettings(({ theme }) => {
        nativeTheme.themeSource = theme;
      });
      if (!options.hidden) window.show();
    },
  };
}
