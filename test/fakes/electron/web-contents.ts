import { EventEmitter } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { CDPSession, Page } from 'playwright-core';
import { fromPage } from './address.ts';
import { beforeClose } from './browser.ts';
import type { FakePort } from './message-channel.ts';
import { PAGE_WORLD, PRELOAD_WORLD } from './preload-world.ts';

const WORLD = 'preload';
let made = 0;

/** A page's two worlds and its messages. */
export class FakeWebContents extends EventEmitter implements Pick<Electron.WebContents, 'send' | 'isDestroyed' | 'id'> {
  readonly id: number;
  openHandler: ((details: Electron.HandlerDetails) => { action: string }) | undefined;
  readonly #ipcMain: EventEmitter;
  #session: CDPSession | undefined;
  #world: number | undefined;
  #gone = false;

  constructor(ipcMain: EventEmitter) {
    super();
    made += 1;
    this.id = made;
    this.#ipcMain = ipcMain;
  }

  setWindowOpenHandler(handler: (details: Electron.HandlerDetails) => { action: string }): void {
    this.openHandler = handler;
  }

  /** Puts the preload before everything that the page will load. */
  async attach(page: Page, preload: string, path: string): Promise<void> {
    const session = await page.context().newCDPSession(page);
    this.#session = session;
    session.on('Runtime.executionContextCreated', ({ context }) => {
      const { frameId, isDefault } = context.auxData as unknown as { frameId: string; isDefault: boolean };
      if (!isDefault && context.name === WORLD && frameId === this.#mainFrame) this.#world = context.id;
    });
    session.on('Runtime.bindingCalled', ({ payload, executionContextId }) => {
      if (executionContextId !== this.#world) return;
      const { channel, args } = JSON.parse(payload) as { channel: string; args: unknown[] };
      const senderFrame = { url: fromPage(page.url()), parent: null };
      this.#ipcMain.emit(channel, { sender: this, senderFrame }, ...args);
    });
    const { frameTree } = await session.send('Page.getFrameTree');
    this.#mainFrame = frameTree.frame.id;
    await session.send('Page.enable');
    await session.send('Runtime.enable');
    await session.send('Runtime.addBinding', { name: '__toMain', executionContextName: WORLD });
    await session.send('Profiler.enable');
    await session.send('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
    const address = pathToFileURL(path).href;
    await session.send('Page.addScriptToEvaluateOnNewDocument', { source: PAGE_WORLD });
    await session.send('Page.addScriptToEvaluateOnNewDocument', { source: PRELOAD_WORLD, worldName: WORLD });
    await session.send('Page.addScriptToEvaluateOnNewDocument', { source: `${preload}\n//# sourceURL=${address}`, worldName: WORLD });
    page.on('framenavigated', (frame) => {
      if (frame === page.mainFrame())
        this.emit('did-start-navigation', { isMainFrame: true, isSameDocument: false, url: fromPage(page.url()) });
    });
    beforeClose(() => this.detach());
  }

  #mainFrame = '';

  send(channel: string, ...args: unknown[]): void {
    if (this.#world === undefined) return;
    const expression = `__fromMain(${JSON.stringify(channel)}, ${JSON.stringify(args)})`;
    this.#session?.send('Runtime.evaluate', { expression, contextId: this.#world }).catch(() => undefined); // the page may be leaving
  }

  /** Hands the preload one end of a port whose other end is the main process's. */
  postMessage(channel: string, _message: unknown, [port]: FakePort[] = []): void {
    if (port === undefined) return;
    const call = (expression: string) =>
      this.#session?.send('Runtime.evaluate', { expression, contextId: this.#world as number }).catch(() => undefined);
    this.#ipcMain.on(`__port${port.id}`, (_event, sent) => port.received(sent));
    void call(`__openPort(${JSON.stringify(channel)}, ${port.id})`);
    port.connect((message, bytes) => void call(`__toPort(${port.id}, ${JSON.stringify(message)}, ${JSON.stringify(bytes)})`));
  }

  /** In the page's own world. */
  async executeJavaScript(expression: string): Promise<unknown> {
    const told = await this.#session?.send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (told?.exceptionDetails !== undefined) throw new Error(told.exceptionDetails.text);
    return told?.result.value;
  }

  webRtcPolicy = 'default';
  setWebRTCIPHandlingPolicy(policy: string): void {
    this.webRtcPolicy = policy;
  }

  /** As a renderer that is gone: the page with it. */
  forcefullyCrashRenderer(): void {
    this.emit('render-process-gone', {}, { reason: 'crashed', exitCode: 5 });
  }

  isDestroyed = (): boolean => this.#gone;

  /** Notes down which lines of the preload ran, where Node notes them for the other files. */
  async detach(): Promise<void> {
    if (this.#gone) return;
    this.#gone = true;
    const folder = process.env.NODE_V8_COVERAGE;
    if (folder === undefined || this.#session === undefined) return;
    const { result } = await this.#session.send('Profiler.takePreciseCoverage');
    const own = result.filter(({ url }) => url.startsWith('file:'));
    writeFileSync(join(folder, `coverage-page-${process.pid}-${this.id}.json`), JSON.stringify({ result: own }));
  }
}
