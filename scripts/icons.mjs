// Draws the icons of the packages and of the tray: `node scripts/icons.mjs`. The results are committed, since electron-builder makes Windows'
// and macOS' formats from the largest. Needs an installed Chromium (CHROME_PATH, else /usr/bin/chromium).
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { fail, root } from './setup.mjs';

const folder = join(root, 'resources/icons');
/** Linux takes a folder of sizes, as its icon theme specification has them. */
const linuxSides = [16, 24, 32, 48, 64, 128, 256, 512];
/** Where each picture comes from and goes to; `side` in pixels. The tray shows the mark alone. */
const pictures = [
  { from: 'resources/icons/icon.svg', side: 1024, to: 'icon.png' },
  ...linuxSides.map((side) => ({ from: 'resources/icons/icon.svg', side, to: `linux/${side}x${side}.png` })),
  { from: 'renderer/brand.svg', side: 16, to: 'tray.png' },
  { from: 'renderer/brand.svg', side: 32, to: 'tray@2x.png' },
];

async function draw() {
  mkdirSync(join(folder, 'linux'), { recursive: true });
  const executablePath = process.env.CHROME_PATH ?? '/usr/bin/chromium';
  // Its own drawing is all that it opens, so root, whom Chromium's sandbox refuses, may go without.
  const browser = await chromium.launch({ executablePath, args: process.getuid?.() === 0 ? ['--no-sandbox'] : [] });
  const page = await browser.newPage();
  for (const { from, side, to } of pictures) {
    await page.setViewportSize({ width: side, height: side });
    const svg = readFileSync(join(root, from), 'utf8');
    await page.setContent(`<style>body { margin: 0 } svg { display: block; width: 100vw; height: 100vh }</style>${svg}`);
    writeFileSync(join(folder, to), await page.screenshot({ omitBackground: true }));
    console.log(to);
  }
  await browser.close();
}

draw().catch(fail);
