import type { PageAttempt, PageBait, PageWay } from '../../core/contract/gpu-window.ts';
import { deviceWays } from './break-out/devices.ts';
import { networkWays } from './break-out/network.ts';
import { storageWays } from './break-out/storage.ts';
import type { WayOut } from './break-out/way.ts';
import { windowWays } from './break-out/windows.ts';

// In the place of the page's own script, under the very same rules: it tries to break out of them. The driver calls it by name.

declare global {
  /** What there is to try, and which of it in a page of its own, or by itself. */
  var hearthlendWays: PageWay[];
  /** `patience`: how many times as long as usual an attempt may take to say something. */
  var hearthlendTry: (names: string[], bait: PageBait, patience: number) => Promise<PageAttempt[]>;
}

/** An attempt that gets no answer within this time has not got through; what only the bait can tell has had time to reach it. */
const ATTEMPT_MS = 900;
const AFTER_MS = 100;
const DETAIL_CHARS = 300;

const ways = [...networkWays, ...windowWays, ...storageWays, ...deviceWays];
/** What the content policy stopped: the directive, by the address that was asked for. */
const stopped: Array<{ directive: string; address: string }> = [];
addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => {
  stopped.push({ directive: effectiveDirective, address: blockedURI });
});

globalThis.hearthlendWays = ways.map(({ name, kind, leaves = false, alone = false }) => ({ name, kind, leaves, alone }));

globalThis.hearthlendTry = (names, bait, patience) =>
  Promise.all(ways.filter(({ name }) => names.includes(name)).map((way) => attempt(way, bait, patience)));

async function attempt({ name, reach }: WayOut, bait: PageBait, patience: number): Promise<PageAttempt> {
  const url = `${bait.server}/${name}`;
  const after = (ms: number) => new Promise<null>((resolve) => setTimeout(() => resolve(null), ms));
  const lingered = after(ATTEMPT_MS);
  const before = stopped.length;
  let reached: string | null = null;
  let refusal: string | null = null;
  try {
    reached = await Promise.race([(async () => reach({ ...bait, url }))(), after(ATTEMPT_MS * patience)]);
    // What gives no word of its own may still be on its way.
    if (reached === null) await lingered;
  } catch (error) {
    refusal = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    // Violations are told after what they are about.
    await after(AFTER_MS);
  }
  const directive =
    stopped.find(({ address }) => address.endsWith(`/${name}`))?.directive ??
    (stopped.length - before === 1 ? stopped[before]?.directive : undefined);
  return {
    name,
    reached: reached?.slice(0, DETAIL_CHARS) ?? null,
    refusal: refusal?.slice(0, DETAIL_CHARS) ?? null,
    directive: directive ?? null,
  };
}
