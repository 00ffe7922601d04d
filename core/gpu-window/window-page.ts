import { z } from 'zod';
import type { PageFile } from './page-files.ts';
import type { BrowserEvent, DevToolsPipe } from './pipe.ts';
import { PAGE_ORIGIN } from './policy.ts';

/** The world of scripts beside the page in which its bridge runs; the page can't see into it. */
const BRIDGE_WORLD = 'hearthlend';
const SAYS = 'hearthlendSays';

const Paused = z.object({ requestId: z.string(), frameId: z.string(), request: z.object({ url: z.string() }) });
const Context = z.object({ context: z.object({ id: z.int(), name: z.string() }) });
const Called = z.object({ name: z.string(), payload: z.string() });
const TargetInfo = z.object({ targetInfo: z.object({ targetId: z.string(), type: z.string(), browserContextId: z.string().optional() }) });

const Logged = z.object({ entry: z.object({ text: z.string() }) });

export interface PageHooks {
  /** The text of whatever the page sends over its port. */
  says(text: string): void;
  /** The page asked for something that it isn't given: an address, or another page or worker. It got nothing. */
  refused(what: string): void;
  /** What the browser writes into the page's log, such as why it refused something. */
  logged?(text: string): void;
  /** The page is no more. */
  ended(detail: string): void;
}

/** The one page of a browser, in a session that lives in memory and may load its own two files. */
export class WindowPage {
  readonly #pipe: DevToolsPipe;
  readonly #files: ReadonlyMap<string, PageFile>;
  readonly #hooks: PageHooks;
  readonly #bridge = Promise.withResolvers<number>();
  #session: string | undefined;
  #target: string | undefined;
  #browserContext: string | undefined;
  #field: string | undefined;

  constructor(pipe: DevToolsPipe, files: ReadonlyMap<string, PageFile>, hooks: PageHooks) {
    this.#pipe = pipe;
    this.#files = files;
    this.#hooks = hooks;
  }

  /** Opens it. @throws what the browser says against it */
  async open(bridgeScript: string): Promise<void> {
    // Of the whole browser, not of the page alone: workers and frames too, whatever they are of.
    await this.#pipe.send('Fetch.enable');
    await this.#pipe.send('Target.setDiscoverTargets', { discover: true });
    const { browserContextId } = await this.#pipe.send('Target.createBrowserContext', { disposeOnDetach: true });
    await this.#pipe.send('Browser.setDownloadBehavior', { behavior: 'deny', browserContextId });
    const { targetId } = await this.#pipe.send('Target.createTarget', { url: 'about:blank', browserContextId });
    this.#target = targetId as string;
    this.#browserContext = browserContextId as string;
    const { sessionId } = await this.#pipe.send('Target.attachToTarget', { targetId, flatten: true });
    this.#session = sessionId as string;
    await Promise.all([
      this.ask('Page.enable'),
      this.ask('Runtime.enable'),
      ...(this.#hooks.logged === undefined ? [] : [this.ask('Log.enable')]),
      this.ask('Runtime.addBinding', { name: SAYS, executionContextName: BRIDGE_WORLD }),
      this.ask('Page.addScriptToEvaluateOnNewDocument', { source: bridgeScript, worldName: BRIDGE_WORLD }),
    ]);
    const { errorText } = await this.ask('Page.navigate', { url: `${PAGE_ORIGIN}/` });
    if (errorText !== undefined) throw new Error(`the page did not load: ${errorText}`);
    const world = await this.#bridge.promise;
    const { result } = await this.ask('Runtime.evaluate', { expression: 'hearthlendFiles', contextId: world });
    this.#field = (result as { objectId: string }).objectId;
  }

  /**
   * Hands the page a message. `files`: absolute paths, with the path under which the page is to know each; '' is the message's body.
   * @throws where a file can't be read, or the browser is gone
   */
  async give(message: unknown, files: ReadonlyArray<{ from: string; as: string }>, body: Uint8Array | null = null): Promise<void> {
    if (files.length > 0) await this.ask('DOM.setFileInputFiles', { objectId: this.#field, files: files.map(({ from }) => from) });
    const text = body === null ? null : Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('base64');
    const { exceptionDetails } = await this.ask('Runtime.callFunctionOn', {
      functionDeclaration: '(message, paths, text) => hearthlendGive(message, paths, text)',
      arguments: [{ value: JSON.stringify(message) }, { value: files.map((file) => file.as) }, { value: text }],
      executionContextId: await this.#bridge.promise,
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(describeException(exceptionDetails));
  }

  /**
   * Runs this in the page itself, under its rules, and gives what it comes to.
   * @throws where that fails, or the page is left meanwhile
   */
  async evaluate(expression: string): Promise<unknown> {
    const asked = { expression, awaitPromise: true, returnByValue: true, allowUnsafeEvalBlockedByCSP: false };
    const { result, exceptionDetails } = await this.ask('Runtime.evaluate', asked);
    if (exceptionDetails !== undefined) throw new Error(describeException(exceptionDetails));
    return (result as { value?: unknown }).value;
  }

  /** Closes it, with all that its session held. */
  async close(): Promise<void> {
    await this.#pipe.send('Target.disposeBrowserContext', { browserContextId: this.#browserContext });
  }

  /** Asks something of the page. @throws what the browser says against it */
  ask(method: string, params: Record<string, unknown> = {}): Promise<Record<string, unknown>> {
    return this.#pipe.send(method, params, this.#session);
  }

  /** Whatever the browser tells goes in here. */
  event({ method, params, session }: BrowserEvent): void {
    if (method === 'Fetch.requestPaused') this.#answer(Paused.parse(params), session);
    else if (method === 'Target.targetCreated') this.#appeared(TargetInfo.parse(params));
    else if (session !== this.#session || session === undefined) return;
    else if (method === 'Runtime.executionContextCreated') {
      const { context } = Context.parse(params);
      if (context.name === BRIDGE_WORLD) this.#bridge.resolve(context.id);
    } else if (method === 'Runtime.bindingCalled') {
      const { name, payload } = Called.parse(params);
      if (name === SAYS) this.#hooks.says(payload);
    } else if (method === 'Log.entryAdded') this.#hooks.logged?.(Logged.parse(params).entry.text);
    else if (method === 'Inspector.targetCrashed') this.#hooks.ended('the page crashed');
    else if (method === 'Inspector.detached') this.#hooks.ended('the page was closed');
  }

  #answer({ requestId, frameId, request: { url } }: z.infer<typeof Paused>, session: string | undefined): void {
    const file = this.#files.get(url);
    const answered =
      file === undefined
        ? this.#pipe.send('Fetch.failRequest', { requestId, errorReason: 'BlockedByClient' }, session)
        : this.#pipe.send(
            'Fetch.fulfillRequest',
            {
              requestId,
              responseCode: 200,
              responseHeaders: Object.entries(file.headers).map(([name, value]) => ({ name, value })),
              body: file.body.toString('base64'),
            },
            session,
          );
    // Who asked may be gone by now.
    answered.catch(() => undefined);
    // Browsers have errands of their own, which lead nowhere either.
    if (file === undefined && frameId === this.#target) this.#hooks.refused(url.slice(0, 200));
  }

  #appeared({ targetInfo: { targetId, type, browserContextId } }: z.infer<typeof TargetInfo>): void {
    if (browserContextId !== this.#browserContext || targetId === this.#target || this.#target === undefined) return;
    this.#pipe.send('Target.closeTarget', { targetId }).catch(() => undefined);
    this.#hooks.refused(`another ${type}`);
  }
}

function describeException(details: unknown): string {
  const { exception, text } = details as { exception?: { description?: string }; text?: string };
  return (exception?.description ?? text ?? 'unknown').slice(0, 500);
}
