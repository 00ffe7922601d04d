import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { PageAttempt, type PageBait, PageWay } from '../contract/gpu-window.ts';
import type { BreakOutAttempt, BreakOutWall } from '../contract/isolation.ts';
import { layWindowBait, type WindowBait } from './bait.ts';
import { Browser, type BrowserOptions } from './browser.ts';
import { readPageFiles } from './page-files.ts';
import { WindowPage } from './window-page.ts';

/** From opening the browser until it is gone: an attempt takes a second, and all but some twenty are made at once. */
const PROBE_MS = 120_000;
const LEFT_MS = 500;
const DETAIL_CHARS = 400;

/** A page with the probe in it. */
export interface ProbedPage {
  /** Runs this in the page. */
  evaluate(expression: string): Promise<unknown>;
  /** What it was refused outside of the page, so far. */
  refused: readonly string[];
  /** What the browser wrote into its log, so far. */
  logged: readonly string[];
  close(): Promise<void>;
}

/** One attempt, with what the bait knows of it. */
export interface Tried {
  way: PageWay;
  attempt: PageAttempt;
  /** Something arrived. */
  visited: boolean;
  /** It was refused outside of the page. */
  blocked: boolean;
  /** What the browser's log says of it. */
  logged: string | null;
}

/**
 * Tries to break out of a page in the identical browser, under the identical rules as the worker's page.
 * @throws where the browser doesn't start or the probe doesn't run to its end
 */
export async function probeWindow(options: Omit<BrowserOptions, 'profileDir'> & { folder: string }): Promise<BreakOutAttempt[]> {
  const files = readPageFiles(options.folder, 'probe.js');
  const bridge = readFileSync(join(options.folder, 'bridge.js'), 'utf8');
  const workDir = await mkdtemp(join(tmpdir(), 'hearthlend-window-probe-'));
  const gone = Promise.withResolvers<void>();
  const failed = Promise.withResolvers<never>();
  failed.promise.catch(() => undefined);
  let current: WindowPage | undefined;
  const browser = new Browser(
    { ...options, profileDir: join(workDir, 'browser') },
    {
      event: (event) => current?.event(event),
      said: () => undefined,
      failed: (detail) => failed.reject(new Error(detail)),
      gone(how) {
        failed.reject(new Error(`the browser ended: ${how}`));
        gone.resolve();
      },
    },
  );
  const timer = globalThis.setTimeout(() => failed.reject(new Error(`it was not done after ${PROBE_MS / 1000} s`)), PROBE_MS);
  const bait = await layWindowBait(workDir);
  const open = async (): Promise<ProbedPage> => {
    const refused: string[] = [];
    const logged: string[] = [];
    const page = new WindowPage(browser.pipe, files, {
      says: () => undefined,
      refused: (what) => refused.push(what),
      logged: (text) => logged.push(text),
      ended: () => undefined,
    });
    current = page;
    await page.open(bridge);
    return { evaluate: (expression) => page.evaluate(expression), refused, logged, close: () => page.close() };
  };
  try {
    const tried = await Promise.race([tryEveryWay(open, bait), failed.promise]);
    return tried.map(verdict);
  } finally {
    clearTimeout(timer);
    browser.kill();
    await gone.promise;
    await bait.close();
    await rm(workDir, { recursive: true, force: true });
  }
}

/** How long to wait where something is expected to get through: times as long as usual in the page, and ms at the bait, by the way's name. */
interface Patience {
  patience?: number;
  waitMs?: (name: string) => number;
}

/** Most at once in one page; what may leave it in pages of their own, and what only counting can tell one after another. */
export async function tryEveryWay(
  open: () => Promise<ProbedPage>,
  bait: WindowBait,
  { patience = 1, waitMs = () => 0 }: Patience = {},
): Promise<Tried[]> {
  const page = await open();
  const ways = z
    .array(PageWay)
    .max(256)
    .parse(await page.evaluate('hearthlendWays'));
  const attempt = async (probed: ProbedPage, names: string[]) =>
    z
      .array(PageAttempt)
      .parse(await probed.evaluate(`hearthlendTry(${JSON.stringify(names)}, ${JSON.stringify(plain(bait))}, ${patience})`));
  const tried: Tried[] = [];
  /** `since`: how much had been logged before these attempts. */
  const add = (attempts: PageAttempt[], probed: ProbedPage, arrived = false, since = 0) => {
    for (const each of attempts) {
      const way = ways.find(({ name }) => name === each.name) as PageWay;
      const logged =
        probed.logged.find((text) => text.includes(`/${each.name}'`)) ??
        (attempts.length === 1 ? probed.logged.slice(since).at(-1) : undefined);
      const blocked = probed.refused.some((what) => what.endsWith(`/${each.name}`) || what.startsWith('another'));
      tried.push({ way, attempt: each, visited: arrived || bait.visited(each.name), blocked, logged: logged ?? null });
    }
  };
  const many = ways.filter(({ leaves, alone }) => !leaves && !alone).map(({ name }) => name);
  add(await attempt(page, many), page);
  for (const { name } of ways.filter(({ alone }) => alone)) {
    const before = bait.arrived();
    const since = page.logged.length;
    const attempts = await attempt(page, [name]);
    await bait.until(() => bait.arrived() > before || bait.visited(name), waitMs(name));
    add(attempts, page, bait.arrived() > before, since);
  }
  await page.close();
  for (const { name } of ways.filter(({ leaves }) => leaves)) {
    const own = await open();
    const since = own.logged.length;
    // A page that is left answers no more: the bait and what was refused know what came of it, a moment later.
    const attempts = await attempt(own, [name]).catch(async (): Promise<PageAttempt[]> => {
      await setTimeout(LEFT_MS);
      return [{ name, reached: null, refusal: null, directive: null }];
    });
    await bait.until(() => bait.visited(name), waitMs(name));
    add(attempts, own, false, since);
    await own.close();
  }
  // On a busy machine some things arrive late.
  for (const each of tried) {
    const { name } = each.way;
    if (!each.visited && each.attempt.reached === null) await bait.until(() => bait.visited(name), waitMs(name));
    each.visited ||= bait.visited(name);
  }
  return tried.sort((a, b) => ways.indexOf(a.way) - ways.indexOf(b.way));
}

/** What is told of an attempt: that it succeeded and how, or the wall that stopped it. */
export function verdict({
  way: { name, kind },
  attempt: { reached, refusal, directive },
  visited,
  blocked,
  logged,
}: Tried): BreakOutAttempt {
  const found = visited ? 'it reached this machine from the page' : reached;
  if (found !== null) return { name, kind, succeeded: true, detail: found.slice(0, DETAIL_CHARS) };
  const said = refusal ?? logged;
  const stopped = (wall: BreakOutWall, detail: string): BreakOutAttempt => ({
    name,
    kind,
    succeeded: false,
    wall,
    detail: detail.slice(0, DETAIL_CHARS),
  });
  if (directive !== null) return stopped('content-policy', directive);
  if (blocked) return stopped('requests', 'its request was refused');
  if (said !== null) return stopped(wallOf(said), said);
  return kind === 'network' ? stopped('addresses', 'nothing arrived') : stopped('nobody', 'nothing came of it');
}

/** Which wall the browser's words speak of. */
function wallOf(said: string): BreakOutWall {
  if (/content security policy|TrustedScript|failed to load worklet/i.test(said)) return 'content-policy';
  if (/user gesture|user activation/i.test(said)) return 'nobody';
  if (/sandbox|opaque origin|security origin|denied in this context/i.test(said)) return 'page-sandbox';
  if (/permissions policy|permissions-policy|disabled in this document/i.test(said)) return 'permissions-policy';
  return 'browser';
}

function plain({ server, connectUrl, port, file }: WindowBait): PageBait {
  return { server, connectUrl, port, file };
}
