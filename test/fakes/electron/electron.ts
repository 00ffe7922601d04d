// Electron's API as far as electron/ uses it, checked against electron.d.ts by `satisfies` and `implements`. Windows are real Chromium pages.
import { EventEmitter } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { closeBrowser } from './browser.ts';
import { listenToTest } from './control.ts';
import { FakeSession } from './session.ts';
import { FakeBrowserWindow } from './window.ts';

const root = join(import.meta.dirname, '../../..');
const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
/** Whether the test wants a built app rather than a checkout. Its files lie in the same place. */
const isPackaged = process.env.STAND_IN_PACKAGED === '1';
Object.defineProperty(process, 'resourcesPath', { value: process.env.STAND_IN_RESOURCES ?? root });

class FakeApp extends EventEmitter {
  readonly paths = new Map<string, string>();
  readonly protocols: string[] = [];
  readonly #ready = Promise.withResolvers<void>();
  sandboxed = false;
  isPackaged = isPackaged;

  whenReady = (): Promise<void> => this.#ready.promise;
  getVersion = (): string => version;
  getAppPath = (): string => process.env.STAND_IN_APP_PATH ?? root;
  setPath = (name: string, path: string): void => void this.paths.set(name, path);
  enableSandbox = (): void => {
    this.sandboxed = true;
  };
  setAsDefaultProtocolClient = (name: string): boolean => this.protocols.push(name) > 0;
  setLoginItemSettings = (_settings: Electron.Settings): void => undefined;
  commandLine = { hasSwitch: (_name: string): boolean => false };
  appUserModelId = '';
  setAppUserModelId = (id: string): void => {
    this.appUserModelId = id;
  };

  /** As Chromium does: the first process keeps the lock as long as it lives, the others leave it their arguments. */
  requestSingleInstanceLock = (): boolean => {
    const folder = join(this.paths.get('userData') ?? '', 'stand-in');
    mkdirSync(folder, { recursive: true });
    const lock = join(folder, 'lock');
    try {
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
    } catch {
      const path = join(folder, `${process.pid}.argv`);
      writeFileSync(`${path}.partial`, JSON.stringify(process.argv));
      writeFileSync(path, JSON.stringify(process.argv));
      return false;
    }
    process.once('exit', () => rmSync(lock, { force: true }));
    watch(folder, () => {
      for (const name of readdirSync(folder)) {
        if (!name.endsWith('.argv')) continue;
        const path = join(folder, name);
        const argv = JSON.parse(readFileSync(`${path}.partial`, 'utf8')) as string[];
        rmSync(path);
        this.emit('second-instance', {}, argv, process.cwd());
      }
    }).unref();
    return true;
  };

  quit = (): void => {
    let prevented = false;
    this.emit('before-quit', {
      preventDefault: () => {
        prevented = true;
      },
    });
    if (!prevented) this.exit(0);
  };

  exit = (code = 0): void => {
    void closeBrowser().finally(() => process.exit(code));
  };

  becomeReady(): void {
    setImmediate(() => this.#ready.resolve());
  }
}

export const app = new FakeApp() satisfies Pick<
  Electron.App,
  | 'whenReady'
  | 'getVersion'
  | 'getAppPath'
  | 'setPath'
  | 'enableSandbox'
  | 'setAsDefaultProtocolClient'
  | 'setLoginItemSettings'
  | 'setAppUserModelId'
  | 'requestSingleInstanceLock'
  | 'quit'
  | 'exit'
  | 'isPackaged'
>;

export const ipcMain = new EventEmitter();
export const powerMonitor = Object.assign(new EventEmitter(), {
  getSystemIdleTime: () => 7,
  getSystemIdleState: () => 'active' as const,
  onBatteryPower: false,
} satisfies Pick<Electron.PowerMonitor, 'getSystemIdleTime' | 'getSystemIdleState' | 'onBatteryPower'>);
export const nativeTheme: Pick<Electron.NativeTheme, 'themeSource' | 'shouldUseDarkColors'> = {
  themeSource: 'system',
  shouldUseDarkColors: true,
};

const workArea = { x: 0, y: 0, width: 1600, height: 1000 };
const display = { workArea } as Electron.Display;
export const screen = {
  getPrimaryDisplay: () => display,
  getAllDisplays: () => [display],
} satisfies Pick<Electron.Screen, 'getPrimaryDisplay' | 'getAllDisplays'>;

/** What would stand on the screen, on stderr. */
export const dialog = {
  showErrorBox: (title: string, content: string) => void process.stderr.write(`dialog: ${title}\n${content}\n`),
  showMessageBox: async ({ message, detail }: Electron.MessageBoxOptions) => {
    dialog.showErrorBox(message, detail ?? '');
    return { response: 0, checkboxChecked: false };
  },
} satisfies {
  showErrorBox: Electron.Dialog['showErrorBox'];
  showMessageBox(options: Electron.MessageBoxOptions): Promise<Electron.MessageBoxReturnValue>;
};

export class Notification implements Pick<Electron.Notification, 'show' | 'title' | 'body'> {
  static isSupported = (): boolean => true;
  readonly title: string;
  readonly body: string;
  constructor({ title = '', body = '' }: Electron.NotificationConstructorOptions) {
    this.title = title;
    this.body = body;
  }
  show(): void {
    dialog.showErrorBox(this.title, this.body);
  }
}

/** A menu is its template here, and drawn nowhere. */
export const Menu = {
  buildFromTemplate: (template: Electron.MenuItemConstructorOptions[]) => ({ items: template }),
  setApplicationMenu: (_menu: unknown) => undefined,
};

export const nativeImage = { createFromPath: (path: string) => ({ path, bytes: readFileSync(path).byteLength }) };

export class Tray extends EventEmitter implements Pick<Electron.Tray, 'setToolTip' | 'destroy'> {
  tip = '';
  menu: { items: Electron.MenuItemConstructorOptions[] } = { items: [] };
  constructor(readonly_: { path: string; bytes: number }) {
    super();
    if (readonly_.bytes === 0) throw new Error('an empty image');
  }
  setToolTip(tip: string): void {
    this.tip = tip;
  }
  setContextMenu(menu: { items: Electron.MenuItemConstructorOptions[] }): void {
    this.menu = menu;
  }
  destroy(): void {
    this.menu = { items: [] };
  }
}

type PageHandler = (request: Request) => Response | Promise<Response>;
const schemes = new Map<string, Electron.Privileges>();
const handlers = new Map<string, PageHandler>();
let ready = false;
export const protocol = {
  registerSchemesAsPrivileged: (added: Electron.CustomScheme[]) => {
    if (ready) throw new Error('registerSchemesAsPrivileged comes before ready');
    for (const { scheme, privileges } of added) schemes.set(scheme, privileges ?? {});
  },
  handle: (scheme: string, handler: PageHandler) => {
    if (schemes.get(scheme)?.standard !== true) throw new Error(`${scheme} is no standard scheme`);
    handlers.set(scheme, handler);
  },
  unhandle: (scheme: string) => void handlers.delete(scheme),
} satisfies Pick<Electron.Protocol, 'registerSchemesAsPrivileged' | 'handle' | 'unhandle'>;

export { FakeMessageChannel as MessageChannelMain } from './message-channel.ts';
export { FakeSession };

const defaultSession = new FakeSession();
const partitions = new Map<string, FakeSession>();
export const session = {
  defaultSession,
  fromPartition(name: string, _options?: Electron.FromPartitionOptions): FakeSession {
    const found = partitions.get(name) ?? new FakeSession();
    if (!partitions.has(name)) app.emit('session-created', found);
    partitions.set(name, found);
    return found;
  },
};

/** Windows of this program. */
export class BrowserWindow extends FakeBrowserWindow {
  static readonly all: BrowserWindow[] = [];
  static getAllWindows = (): BrowserWindow[] => BrowserWindow.all.filter((window) => !window.isDestroyed());
  constructor(options: Electron.BrowserWindowConstructorOptions) {
    super(options, {
      app,
      ipcMain,
      session: (options.webPreferences?.session as unknown as FakeSession | undefined) ?? defaultSession,
      userData: app.paths.get('userData') ?? '',
      serve: (scheme) => handlers.get(scheme),
    });
    BrowserWindow.all.push(this);
    app.emit('browser-window-created', {}, this);
    app.emit('web-contents-created', {}, this.webContents);
    this.on('closed', () => {
      if (BrowserWindow.getAllWindows().length === 0 && !app.emit('window-all-closed')) app.quit();
    });
  }
}

listenToTest();
app.becomeReady();
void app.whenReady().then(() => {
  ready = true;
});
