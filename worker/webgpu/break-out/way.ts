import type { PageBait } from '../../../core/contract/gpu-window.ts';
import type { BreakOutAttempt } from '../../../core/contract/isolation.ts';

/**
 * One way out of the page. `reach` really tries it: it says what it reached, throws where the way is closed, or returns null where only the bait can
 * tell: it listens, and knows each way by its address.
 */
export interface WayOut {
  /** Stable, kebab-case. */
  name: string;
  kind: BreakOutAttempt['kind'];
  /** It may leave the page, or another one in its place: it is tried in a page of its own. */
  leaves?: true;
  /** Neither the bait nor the browser can tell it from others by its address, so nothing else is tried meanwhile. */
  alone?: true;
  reach(bait: PageBait & { url: string }): Promise<string | null> | string | null;
}

/** Settles when an element has loaded or has failed to: neither says anything that the bait doesn't know better. */
export function settled(element: HTMLElement | SVGElement): Promise<null> {
  return new Promise((resolve) => {
    element.addEventListener('load', () => resolve(null));
    element.addEventListener('error', () => resolve(null));
  });
}

/** Puts an element with these attributes into the page. */
export function place<K extends keyof HTMLElementTagNameMap>(tag: K, attributes: Record<string, string>): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  document.documentElement.append(element);
  return element;
}

/** A member of the browser's that TypeScript's DOM doesn't have, or that not every browser has. @throws where it isn't there */
export function member<T>(path: string): T {
  let found: unknown = globalThis;
  for (const name of path.split('.')) found = (found as Record<string, unknown> | undefined)?.[name];
  if (found === undefined) throw new Error(`this browser has no ${path}`);
  return found as T;
}
