import { readFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Adapter, PageWord } from '../contract/gpu-window.ts';
import type { StartedWorker, StartWorker, Usage, WorkerListener } from '../contract/worker-host.ts';
import type { WorkerRequest } from '../contract/worker-messages.ts';
import { Browser, type BrowserOptions } from './browser.ts';
import { modelFiles, refusalOf } from './model-files.ts';
import { type PageFile, readPageFiles } from './page-files.ts';
import { processGroup, sandboxState } from './sandbox-state.ts';
import { WindowPage } from './window-page.ts';

/** A browser starts in about a second, on a busy machine in several; then it compiles 17 MB of WebAssembly. */
const READY_MS = 60_000;
/** A headless browser's processes before a model is loaded, pages that they share counted in each: 1.0 GB measured with Chromium 156. */
const RUNTIME_BYTES = 1536 * 2 ** 20;
/** Up to here a body goes as text (20 MB/s measured, no file); beyond it as a file (700 MB/s). */
const TEXT_BYTES = 64 * 2 ** 10;

export interface WindowOptions extends Omit<BrowserOptions, 'profileDir'> {
  /** dist/gpu-window. */
  folder: string;
  /** Whether a GPU that is imitated on the CPU will do. It earns nothing, so only a test can want it. */
  allowSoftware: boolean;
  usage(pid: number): Usage | null;
  /** Told once the page knows what it computes on; null: no GPU that it may use. */
  onAdapter?: (adapter: Adapter | null) => void;
}

/** Workers that are a page in an installed browser, with nothing of the system's and no network. */
export function windowWorkers(options: WindowOptions): StartWorker {
  return ({ modelsDir }) => new WindowWorker(options, modelsDir);
}

class WindowWorker implements StartedWorker {
  readonly readyMs = READY_MS;
  readonly runtimeBytes = RUNTIME_BYTES;
  readonly #options: WindowOptions;
  readonly #modelsDir: string;
  readonly #profileDir: string;
  readonly #browser: Browser;
  readonly #page: WindowPage;
  readonly #listener = Promise.withResolvers<WorkerListener>();
  #listening: WorkerListener | undefined;
  #turn: Promise<void>;
  #bodies = 0;

  constructor(options: WindowOptions, modelsDir: string) {
    this.#options = options;
    this.#modelsDir = modelsDir;
    this.#profileDir = join(dirname(modelsDir), 'browser');
    const files: ReadonlyMap<string, PageFile> = readPageFiles(options.folder, 'page.js');
    const bridge = readFileSync(join(options.folder, 'bridge.js'), 'utf8');
    this.#browser = new Browser(
      { ...options, profileDir: this.#profileDir },
      {
        event: (event) => this.#guarded(() => this.#page.event(event)),
        said: (chunk) => this.#listening?.said(chunk),
        failed: (detail) => this.#listening?.failed(detail),
        gone: (how) => this.#listening?.gone(how),
      },
    );
    this.#page = new WindowPage(this.#browser.pipe, files, {
      says: (text) => this.#said(text),
      // A page that asks for anything has been taken over.
      refused: (what) => this.#listening?.failed(`it asked for ${what}`),
      ended: (detail) => this.#listening?.failed(detail),
    });
    const wasm = join(options.folder, 'onnxruntime.wasm');
    this.#turn = this.#inTurn(async () => {
      await this.#page.open(bridge);
      this.#checkSandbox();
      await this.#page.give({ kind: 'start' }, [{ from: wasm, as: '' }]);
    }, this.#listener.promise);
  }

  get pid(): number | undefined {
    return this.#browser.pid;
  }

  listen(listener: WorkerListener): void {
    this.#listening = listener;
    this.#listener.resolve(listener);
  }

  send(request: WorkerRequest, body: Uint8Array | undefined): void {
    this.#turn = this.#inTurn(() => this.#give(request, body), this.#turn);
  }

  kill(): void {
    this.#browser.kill();
  }

  usage(): Usage | null {
    return this.pid === undefined ? null : this.#options.usage(this.pid);
  }

  #inTurn(action: () => Promise<void>, after: Promise<unknown>): Promise<void> {
    return after.then(action).catch((error) => this.#listening?.failed(error instanceof Error ? error.message : String(error)));
  }

  async #give(request: WorkerRequest, body: Uint8Array | undefined): Promise<void> {
    const message = { kind: 'request', request };
    if (request.type === 'load') {
      const files = modelFiles(join(this.#modelsDir, request.model));
      const refusal = refusalOf(request.id, files);
      if (refusal !== null) this.#listening?.data(refusal);
      else await this.#page.give(message, files);
      return;
    }
    if (body === undefined || body.byteLength <= TEXT_BYTES) return this.#page.give(message, [], body ?? null);
    this.#bodies += 1;
    const path = join(this.#profileDir, `body-${this.#bodies}`);
    try {
      await writeFile(path, body, { mode: 0o600 });
      await this.#page.give(message, [{ from: path, as: '' }]);
    } finally {
      await rm(path, { force: true });
    }
  }

  #said(text: string): void {
    if (!text.startsWith('{')) {
      this.#listening?.data(Buffer.from(text, 'base64'));
      return;
    }
    const word = PageWord.parse(JSON.parse(text));
    if (word.kind === 'failed') this.#listening?.failed(word.detail);
    else this.#adapter(word.adapter);
  }

  #adapter(adapter: Adapter | null): void {
    this.#options.onAdapter?.(adapter);
    if (this.#options.allowSoftware) return;
    if (adapter === null) this.#listening?.failed('the browser offers no GPU to a page');
    else if (adapter.software) this.#listening?.failed('the browser imitates a GPU on the CPU');
  }

  /** Chromium says nothing where it can't build its sandbox, so the kernel is asked. Elsewhere than on Linux it does not start without. */
  #checkSandbox(): void {
    const processes = this.#options.sandbox && this.pid !== undefined ? processGroup(this.pid) : null;
    if (processes === null) return;
    const { pages, confined } = sandboxState(processes);
    if (pages === 0 || confined < pages) throw new Error(`the browser runs ${pages - confined} of ${pages} pages without its sandbox`);
  }

  /** What the browser or the page says is checked; what is not as agreed ends the worker. */
  #guarded(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#listening?.failed(`what the browser said is not understood: ${String(error).slice(0, 300)}`);
    }
  }
}
