import type { Page } from 'playwright-core';

/** Elements that reach out of the page, and those whose text reaches out of them. */
export function overflowing(page: Page): Promise<string[]> {
  return page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    return [...document.querySelectorAll<HTMLElement>('#root *')]
      .filter((each) => {
        if (each.closest('.hidden, .skip, svg') !== null || each.getClientRects().length === 0) return false;
        const { left, right } = each.getBoundingClientRect();
        const inside = getComputedStyle(each).display === 'inline' || each.matches('input') || each.scrollWidth <= each.clientWidth + 1;
        return right > width + 1 || left < -1 || !inside;
      })
      .map((each) => `${each.tagName} ${each.className}: ${each.textContent?.slice(0, 40)}`);
  });
}

/** Each piece of text with its colour and the nearest opaque ground behind it, as #rrggbb. */
export function textColours(page: Page): Promise<{ text: string; colour: string; ground: string }[]> {
  return page.evaluate(() => {
    const hex = (rgb: string): string =>
      `#${(rgb.match(/\d+/g) ?? [])
        .slice(0, 3)
        .map((part) => Number(part).toString(16).padStart(2, '0'))
        .join('')}`;
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const parent = walker.currentNode.parentElement as HTMLElement;
      const text = walker.currentNode.textContent?.trim() ?? '';
      if (text === '' || parent.closest('.hidden, .skip, script') !== null || parent.getClientRects().length === 0) continue;
      let behind: HTMLElement | null = parent;
      while (behind !== null && /rgba\(.*, 0\)/.test(getComputedStyle(behind).backgroundColor)) behind = behind.parentElement;
      const ground = getComputedStyle(behind ?? document.body).backgroundColor;
      found.push({ text, colour: hex(getComputedStyle(parent).color), ground: hex(ground) });
    }
    return found;
  });
}
