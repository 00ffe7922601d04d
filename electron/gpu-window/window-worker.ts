import { createReadStream } from 'node:fs';
import { join } from 'node:path';
import { type BrowserWindow, MessageChannelMain, type MessagePortMain } from 'electron';
import { type PageMessage, PageWord } from '../../core/contract/gpu-window.ts';
import type { StartedWorker, WorkerListener } from '../../core/contract/worker-host.ts';
import type { WorkerRequest } from '../../core/contract/worker-messages.ts';
import { modelFiles, refusalOf } from '../../core/gpu-window/model-files.ts';
import { readPageFiles } from '../../core/gpu-window/page-files.ts';
import { PORT_CHANNEL } from './channel.ts';
import { loadHiddenPage, openHiddenPage } from './hidden-page.ts';

const READY_MS = 60_000;
/** A renderer with 17 MB of WebAssembly, compiled; the GPU's process is the app's own. */
const RUNTIME_BYTES = 512 * 2 ** 20;
/** What goes to the page in one message. */
const PART_BYTES = 16 * 2 ** 20;
/** A renderer that is told to crash does so at once; a window is closed after so long whatever it does. */
const GONE_MS = 2_000;

export interface WindowWorkerParts {
  /** dist/gpu-window. */
  folder: string;
  preload: string;
  modelsDir: string;
}

/** A worker that is a page in a hidden window of this app. */
export class WindowWorker implements StartedWorker {
  readonly pid = undefined;
  readonly readyMs = READY_MS;
  readonly runtimeBytes = RUNTIME_BYTES;
  readonly #parts: WindowWorkerParts;
  readonly #window: BrowserWindow;
  readonly #port: MessagePortMain;
  readonly #listener = Promise.withResolvers<WorkerListener>();
  #listening: WorkerListener | undefined;
  #turn: Promise<void>;

  constructor(parts: WindowWorkerParts) {
    this.#parts = parts;
    const { folder, preload } = parts;
    const files = readPageFiles(folder, 'page.js');
    // A page that asks for anything has been taken over.
    this.#window = openHiddenPage({ files, preload, refused: (what) => this.#listening?.failed(`it asked for ${what}`) });
    const { port1, port2 } = new MessageChannelMain();
    this.#port = port1;
    port1.on('message', ({ data }) => this.#guarded(() => this.#said(data)));
    port1.start();
    const { webContents } = this.#window;
    webContents.on('render-process-gone', (_event, { reason }) => {
      this.#listening?.failed(`the page is gone: ${reason}`);
      this.#close();
    });
    this.#window.once('closed', () => this.#listening?.gone('its window is closed'));
    this.#turn = this.#inTurn(async () => {
      await loadHiddenPage(this.#window);
      webContents.postMessage(PORT_CHANNEL, null, [port2]);
      await this.#sendFile(join(folder, 'onnxruntime.wasm'), '');
      this.#post({ kind: 'start', wasm: null });
    }, this.#listener.promise);
  }

  listen(listener: WorkerListener): void {
    this.#listening = listener;
    this.#listener.resolve(listener);
  }

  send(request: WorkerRequest, body: Uint8Array | undefined): void {
    this.#turn = this.#inTurn(async () => {
      const files = request.type === 'load' ? modelFiles(join(this.#parts.modelsDir, request.model)) : [];
      const refusal = refusalOf(request.id, files);
      if (refusal !== null) {
        this.#listening?.data(refusal);
        return;
      }
      for (const { from, as } of files) await this.#sendFile(from, as);
      if (body !== undefined) this.#sendBytes(body, '');
      this.#post({ kind: 'request', request, body: null, files: [] });
    }, this.#turn);
  }

  kill(): void {
    if (this.#window.isDestroyed()) return;
    this.#window.webContents.forcefullyCrashRenderer();
    setTimeout(() => this.#close(), GONE_MS).unref();
  }

  /** Electron tells a page's memory in no way that could be trusted to be the page's alone. */
  usage(): null {
    return null;
  }

  #close(): void {
    if (!this.#window.isDestroyed()) this.#window.destroy();
  }

  #inTurn(action: () => Promise<void>, after: Promise<unknown>): Promise<void> {
    return after.then(action).catch((error) => this.#listening?.failed(error instanceof Error ? error.message : String(error)));
  }

  async #sendFile(from: string, path: string): Promise<void> {
    this.#post({ kind: 'part', path, bytes: new ArrayBuffer(0) });
    for await (const chunk of createReadStream(from, { highWaterMark: PART_BYTES })) this.#sendBytes(chunk as Buffer, path);
  }

  #sendBytes(bytes: Uint8Array, path: string): void {
    for (let at = 0; at < bytes.byteLength; at += PART_BYTES) {
      this.#post({ kind: 'part', path, bytes: new Uint8Array(bytes.subarray(at, at + PART_BYTES)).buffer });
    }
  }

  #post(message: PageMessage): void {
    this.#port.postMessage(message);
  }

  #said(data: unknown): void {
    if (data instanceof Uint8Array) {
      this.#listening?.data(data);
      return;
    }
    const word = PageWord.parse(data);
    if (word.kind === 'failed') this.#listening?.failed(word.detail);
    else if (word.adapter === null) this.#listening?.failed('the browser offers no GPU to a page');
    else if (word.adapter.software) this.#listening?.failed('the browser imitates a GPU on the CPU');
  }

  /** What the page says is checked; what is not as agreed ends it. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#listening?.failed(`what the page said is not understood: ${String(error).slice(0, 300)}`);
    }
  }
}
