// Draws the icons of the packages from resources/icons/icon.svg: `node scripts/icons.mjs`. The results are committed, since
// electron-builder makes Windows' and macOS' formats from the largest. Needs an installed Chromium (CHROME_PATH, else /usr/bin/chromium).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { fail, root } from './setup.mjs';

const folder = join(root, 'resources/icons');
/** Side in pixels → file. Linux takes a folder of sizes from its icon theme specification. */
const sizes = {
  1024: 'icon.png',
  ...Object.fromEntries([16, 24, 32, 48, 64, 128, 256, 512].map((side) => [side, `linux/${side}x${side}.png`])),
};

async function draw() {
  const svg = readFileSync(join(folder, 'icon.svg'), 'utf8');
  mkdirSync(join(folder, 'linux'), { recursive: true });
  const executablePath = process.env.CHROME_PATH ?? '/usr/bin/chromium';
  // Its own drawing is all that it opens, so root, whom Chromium's sandbox refuses, may go without.
  const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
  const page = await browser.newPage();
  for (const [side, file] of Object.entries(sizes)) {
    await page.setViewportSize({ width: Number(side), height: Number(side) });
    await page.setContent(`<style>body { margin: 0 } svg { display: block; width: 100vw; height: 100vh }</style>${svg}`);
    writeFileSync(join(folder, file), await page.screenshot({ omitBackground: true }));
    console.log(file);
  }
  await browser.close();
}

draw().catch(fail);
