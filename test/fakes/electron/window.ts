import { EventEmitter } from 'node:events';
import { readFileSync } from 'node:fs';
import type { Page, Route } from 'playwright-core';
import { fromPage, toPage } from './address.ts';
import { openBrowser } from './browser.ts';
import type { FakeSession } from './session.ts';
import { FakeWebContents } from './web-contents.ts';

export interface WindowParts {
  app: EventEmitter;
  ipcMain: EventEmitter;
  session: FakeSession;
  userData: string;
  serve(scheme: string): ((request: Request) => Response | Promise<Response>) | undefined;
}

/** Pages that are some window's. */
const taken = new WeakSet<Page>();

/** A window whose page is one of Chromium's. Its frame, place and state are remembered, not drawn. */
export class FakeBrowserWindow
  extends EventEmitter
  implements
    Pick<
      Electron.BrowserWindow,
      | 'loadURL'
      | 'show'
      | 'focus'
      | 'minimize'
      | 'restore'
      | 'maximize'
      | 'isVisible'
      | 'isMinimized'
      | 'isMaximized'
      | 'getNormalBounds'
      | 'isDestroyed'
    >
{
  readonly options: Electron.BrowserWindowConstructorOptions;
  readonly webContents: FakeWebContents;
  readonly #parts: WindowParts;
  page: Page | undefined;
  visible = false;
  minimized = false;
  maximized = false;
  focused = false;
  #destroyed = false;

  constructor(options: Electron.BrowserWindowConstructorOptions, parts: WindowParts) {
    super();
    this.options = options;
    this.#parts = parts;
    this.webContents = new FakeWebContents(parts.ipcMain);
  }

  async loadURL(url: string): Promise<void> {
    const context = await openBrowser(this.#parts.userData);
    const [blank] = context.pages().filter((page) => page.url() === 'about:blank' && !taken.has(page));
    if (blank !== undefined) taken.add(blank);
    const page = blank ?? (await context.newPage());
    taken.add(page);
    this.page = page;
    if (this.#destroyed) {
      await page.close();
      return;
    }
    const { width = 800, height = 600, webPreferences = {} } = this.options;
    await page.setViewportSize({ width, height });
    await context.grantPermissions(this.#parts.session.granted(url), { origin: new URL(toPage(url)).origin });
    const { sandbox, contextIsolation, nodeIntegration, preload = '' } = webPreferences;
    if (sandbox !== true || contextIsolation !== true || nodeIntegration !== false)
      throw new Error('a page of this window would be a program');
    await this.webContents.attach(page, readFileSync(preload, 'utf8'), preload);
    let first = true;
    await page.route('**/*', async (route) => {
      const leaving = route.request().isNavigationRequest() && route.request().frame() === page.mainFrame() && !first;
      first = false;
      await this.#answer(route, leaving);
    });
    page.on('popup', (popup) => {
      if (this.webContents.openHandler?.({ url: popup.url() } as Electron.HandlerDetails).action !== 'deny')
        throw new Error('a window was opened');
      void popup.close();
    });
    page.on('download', (download) => {
      let prevented = false;
      this.#parts.session.emit('will-download', {
        preventDefault: () => {
          prevented = true;
        },
      });
      if (prevented) void download.cancel();
    });
    page.on('crash', () => this.#parts.app.emit('render-process-gone', {}, this.webContents, { reason: 'crashed', exitCode: 5 }));
    await page.goto(toPage(url), { waitUntil: 'load' });
    this.emit('ready-to-show');
  }

  async #answer(route: Route, leaving: boolean): Promise<void> {
    const url = fromPage(route.request().url());
    const frame = route.request().frame();
    let prevented = false;
    const event = {
      url,
      preventDefault: () => {
        prevented = true;
      },
    };
    if (leaving) this.webContents.emit('will-navigate', event);
    else if (route.request().isNavigationRequest() && frame.parentFrame() !== null) this.webContents.emit('will-frame-navigate', event);
    if (prevented) {
      // To Chromium an answer without content is a page that stays.
      await route.fulfill({ status: 204 });
      return;
    }
    if (this.#parts.session.cancels(url)) {
      await route.abort();
      return;
    }
    const scheme = url.split(':', 1)[0] ?? '';
    const handler = this.#parts.session.served.get(scheme) ?? this.#parts.serve(scheme);
    if (handler === undefined) {
      await route.abort();
      return;
    }
    const { method } = { method: route.request().method() };
    const response = await handler({ url, method } as Request);
    const body = Buffer.from(await response.arrayBuffer());
    await route.fulfill({ status: response.status, headers: Object.fromEntries(response.headers), body });
  }

  show(): void {
    this.visible = true;
    this.emit('show');
  }
  focus(): void {
    this.focused = true;
  }
  minimize(): void {
    this.minimized = true;
  }
  restore(): void {
    this.minimized = false;
  }
  maximize(): void {
    this.maximized = true;
  }
  isVisible = (): boolean => this.visible;
  isMinimized = (): boolean => this.minimized;
  isMaximized = (): boolean => this.maximized;
  isDestroyed = (): boolean => this.#destroyed;
  getNormalBounds(): Electron.Rectangle {
    const { x = 0, y = 0, width = 800, height = 600 } = this.options;
    return { x, y, width, height };
  }

  close(): void {
    let prevented = false;
    this.emit('close', {
      preventDefault: () => {
        prevented = true;
      },
    });
    if (!prevented) this.destroy();
  }

  destroy(): void {
    if (this.#destroyed) return;
    this.#destroyed = true;
    // The page may still be loading, or dead.
    void this.webContents
      .detach()
      .then(() => this.page?.close())
      .catch(() => undefined);
    this.webContents.emit('destroyed');
    this.emit('closed');
  }
}
