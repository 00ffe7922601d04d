// `npm run demo`: a chain, nats-server, a coordinator with money in escrow, three machines of which one lies, and a requester, all of them on this
// computer; told on the terminal and on a page. Ends with 0 where everything that it promises was seen.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openWindow } from '../../cli/window/window.ts';
import { messageOf } from '../../core/contract/messages.ts';
import { noAnvil } from '../anvil.ts';
import { perform } from './acts.ts';
import { Children } from './children.ts';
import { lineOf, summaryLines } from './lines.ts';
import { openPage, type PageServer } from './page-server.ts';
import { takePicture } from './picture.ts';
import { type Fact, isKept, newStory, promisesOf, tell } from './story.ts';
import { say } from './words.ts';

const { values: options } = parseArgs({
  options: {
    /** One JSON object a line: each fact, and a summary at the end. */
    json: { type: 'boolean', default: false },
    'no-page': { type: 'boolean', default: false },
    /** Stays at the end until Ctrl-C, also where nobody looks on. */
    keep: { type: 'boolean', default: false },
    /** Writes the page at its end as a PNG. */
    picture: { type: 'string' },
  },
});

const startedAt = performance.now();
const folder = mkdtempSync(join(tmpdir(), 'hearthlend-demo-'));
const children = new Children(folder);
const stop = new AbortController();
let story = newStory();
let page: PageServer | undefined;
let browser: number | undefined;
let performing: Promise<void> | undefined;
let pictured = true;

/** @param event the same as JSON, where it is more than words */
function print(line: string, event?: Record<string, unknown>): void {
  if (!options.json) process.stdout.write(`${line}\n`);
  else if (event !== undefined) process.stdout.write(`${JSON.stringify(event)}\n`);
}

function told(fact: Fact): void {
  const atMs = Math.round(performance.now() - startedAt);
  story = tell(story, fact, atMs);
  if (options.json) process.stdout.write(`${JSON.stringify({ event: fact.fact, atMs, ...fact, fact: undefined })}\n`);
  const line = lineOf(fact, story);
  if (line !== null) print(`${(atMs / 1000).toFixed(1).padStart(5)} s  ${line}`);
}

/** The page in a window where there is one, else its address. */
async function showPage(opened: PageServer): Promise<void> {
  const around = { platform: process.platform, env: process.env, uid: process.getuid?.() };
  const outcome = await openWindow(around, folder, async () => opened.newCode());
  if (outcome.opened) {
    browser = outcome.pid;
    print(say('line.window', { browser: outcome.browser }), { event: 'page', browser: outcome.browser });
    return;
  }
  print(say('line.no-window', { reason: messageOf(outcome.reason) }));
  const address = () => {
    const { url } = opened.newCode();
    print(say('line.page', { url }), { event: 'page', url });
  };
  address();
  if (!process.stdin.isTTY) return;
  print(say('line.page.enter'));
  process.stdin.on('data', address).unref();
}

/** Nothing is left: no process, no folder. */
async function cleanUp(): Promise<void> {
  await page?.close();
  await children.stop();
  await performing?.catch(() => undefined);
  if (browser !== undefined) {
    try {
      process.kill(process.platform === 'win32' ? browser : -browser, 'SIGKILL');
    } catch {
      // It was closed.
    }
  }
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
const stopped = new Promise<void>((resolve) => {
  stop.signal.addEventListener('abort', () => resolve(), { once: true });
});

try {
  if (noAnvil !== null) throw new Error(say('line.anvil', { reason: noAnvil }));
  print(say('line.mark'));
  const opening = options['no-page']
    ? undefined
    : openPage(folder, () => story).then(async (opened) => {
        page = opened;
        await showPage(opened);
      });
  performing = perform({ folder, children, signal: stop.signal, tell: told, story: () => story });
  await Promise.race([performing, stopped]);
  await opening;
} catch (thrown) {
  if (!stop.signal.aborted) told({ fact: 'failed', detail: (thrown as Error).message });
}

if (stop.signal.aborted) print(say('line.aborted'));
else {
  for (const line of summaryLines(story)) print(line);
  const over = { ok: isKept(story), ...promisesOf({ ...story, chapter: 'over' }), atMs: story.atMs };
  if (options.json) process.stdout.write(`${JSON.stringify({ event: 'summary', ...over })}\n`);
  page?.show();
  if (options.picture !== undefined && page !== undefined) {
    try {
      await takePicture(page.newCode().url, options.picture);
      print(say('line.picture', { path: options.picture }));
    } catch (thrown) {
      pictured = false;
      print(say('line.no-picture', { detail: (thrown as Error).message }), { event: 'error', detail: (thrown as Error).message });
    }
  }
  if (page !== undefined && (page.watching > 0 || options.keep)) {
    print(say('line.stays'));
    await Promise.race([stopped, ...(options.keep ? [] : [page.left()])]);
  }
}
await cleanUp();
process.exit(isKept(story) && pictured ? 0 : 1);
