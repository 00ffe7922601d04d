import { findBrowsers } from '../../cli/window/browsers.ts';

const WIDTH = 1280;
const SHOWN_WITHIN_MS = 15_000;

/** What the page shows, as a PNG: how README's picture is made. @throws where no browser of Chromium's kind is installed */
export async function takePicture(url: string, path: string, theme: 'dark' | 'light' = 'dark', width: number = WIDTH): Promise<void> {
  const { chromium } = await import('playwright-core');
  const [executablePath] = findBrowsers(process.platform, process.env);
  if (executablePath === undefined) throw new Error('no browser of Chromium’s kind is installed');
  // As root Chromium runs without its sandbox or not at all; it opens nothing but our own page.
  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath, args });
  try {
    const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme: theme, reducedMotion: 'reduce' });
    await page.goto(url);
    await page.locator('[data-chapter]').waitFor({ timeout: SHOWN_WITHIN_MS });
    await page.screenshot({ path, fullPage: true });
  } finally {
    await browser.close();
  }
}
