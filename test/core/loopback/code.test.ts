import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { message } from '../../../core/contract/messages.ts';
import { openConsole } from '../../cli/console.ts';
import { FakeApp } from '../../fakes/app.ts';

test('a page’s code and token are in no request, no Referer, no history, no log and no file', async () => {
  const app = new FakeApp();
  const console = openConsole(() => app, { uiFolder: join(import.meta.dirname, '../../../dist/ui') });
  const agent = console.run('start', '--headless', '--json');
  await agent.stdout.seen(/"started"/);
  const open = console.run('open', '--json');
  await open.exitCode;
  const url = String(open.stdout.json()[0]?.url);
  const [address = '', code = ''] = url.split('/#code=');
  expect(Buffer.from(code, 'base64url')).toHaveLength(32);

  const args = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
  const browser = await chromium.launch({ executablePath: process.env.CHROME_PATH ?? '/usr/bin/chromium', args });
  onTestFinished(() => browser.close());
  const page = await browser.newPage();
  const sent: string[] = [];
  page.on('request', (request) => sent.push(`${request.url()} ${JSON.stringify(request.headers())}`));
  page.on('websocket', (socket) => sent.push(socket.url()));
  await page.goto(url);
  await page.getByText(message('reason.practising')).first().waitFor();
  const { token, history, here } = await page.evaluate(() => ({
    token: sessionStorage.getItem('hearthlend.session') ?? '',
    history: performance.getEntriesByType('navigation').length,
    here: location.href,
  }));
  expect(token).toMatch(/^[\w-]{43}$/);
  expect(history).toBe(1);
  expect(here).toBe(`${address}/`);
  expect(sent.length).toBeGreaterThan(3);
  expect(sent.some((text) => text.startsWith(`${address.replace('http', 'ws')}/rpc`))).toBe(true);

  agent.signal('SIGTERM');
  await agent.exitCode;
  const files = readdirSync(console.dataDir, { recursive: true, encoding: 'utf8' })
    .map((name) => join(console.dataDir, name))
    .filter((path) => statSync(path).isFile());
  const written = [agent.stdout.text, agent.stderr.text, ...files.map((path) => readFileSync(path, 'latin1'))];
  for (const secret of [code, token]) for (const text of [...sent, ...written]) expect(text).not.toContain(secret);
  for (const text of sent) expect(text.toLowerCase()).not.toMatch(/"referer":"[^"]/);
});
