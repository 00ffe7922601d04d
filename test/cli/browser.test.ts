import { existsSync, readFileSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { message } from '../../core/contract/messages.ts';
import { launchFilePath, writeLaunchFile } from '../../core/loopback/launch-file.ts';
import { FakeApp } from '../fakes/app.ts';
import { type Command, openConsole } from './console.ts';

const uiFolder = join(import.meta.dirname, '../../dist/ui');

let browser: Browser;

beforeAll(async () => {
  // A stranger's name that resolves to this machine, as DNS rebinding makes it.
  const args = ['--host-resolver-rules=MAP evil.example 127.0.0.1', ...(process.getuid?.() === 0 ? ['--no-sandbox'] : [])];
  browser = await chromium.launch({ executablePath: process.env.CHROME_PATH ?? '/usr/bin/chromium', args });
});

afterAll(async () => {
  await browser.close();
});

interface Running {
  app: FakeApp;
  dataDir: string;
  agent: Command;
  /** A fresh address that lets one page in. */
  newAddress(): Promise<string>;
  stop(): Promise<void>;
}

async function startAgent(): Promise<Running> {
  const app = new FakeApp();
  const console = openConsole(() => app, { uiFolder });
  const agent = console.run('start', '--headless', '--json');
  await agent.stdout.seen(/"started"/);
  return {
    app,
    dataDir: console.dataDir,
    agent,
    newAddress: async () => {
      const open = console.run('open', '--json');
      await open.exitCode;
      return String(open.stdout.json()[0]?.url);
    },
    stop: async () => {
      agent.signal('SIGTERM');
      await agent.exitCode;
    },
  };
}

/** A new page in a profile of its own, with what its console complained of. */
async function newPage(): Promise<{ page: Page; complaints: string[] }> {
  const page = await (await browser.newContext()).newPage();
  const complaints: string[] = [];
  page.on('console', (said) => {
    if (said.type() === 'error' || said.type() === 'warning') complaints.push(said.text());
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { page, complaints };
}

const reason = message('reason.practising');

test('a page comes in by its address, hears what happens, keeps no code, and comes in again after a reload', async () => {
  const running = await startAgent();
  const { page, complaints } = await newPage();
  await page.goto(await running.newAddress());
  await page.getByText(reason).first().waitFor();
  expect(page.url()).not.toContain('code');
  running.app.snapshot.state = { name: 'proven', reason: { key: 'reason.proven', params: {} }, since: Date.now(), until: null };
  running.app.emit({ event: 'changed', data: { state: running.app.snapshot.state } });
  await page.getByText(message('state.proven')).first().waitFor();
  await page.reload();
  await page.getByText(message('state.proven')).first().waitFor();
  expect(complaints).toEqual([]);
  await page.context().close();
  await running.stop();
});

test('the same address lets nobody else in, and the page says how to get another', async () => {
  const running = await startAgent();
  const address = await running.newAddress();
  const first = await newPage();
  await first.page.goto(address);
  await first.page.getByText(reason).first().waitFor();
  const second = await newPage();
  await second.page.goto(address);
  await second.page.getByText(message('screen.link.refused')).waitFor();
  expect(await second.page.getByText(reason).count()).toBe(0);
  await first.page.context().close();
  await second.page.context().close();
  await running.stop();
});

test('a browser that is opened on the launch file comes in, and the file is gone then', async () => {
  const running = await startAgent();
  const url = await running.newAddress();
  const code = url.split('#code=')[1] ?? '';
  const path = await writeLaunchFile(running.dataDir, url, code);
  expect(path).toBe(launchFilePath(running.dataDir, code));
  expect(statSync(path).mode & 0o777).toBe(0o600);
  expect(path).not.toContain(code);
  expect(readFileSync(path, 'utf8')).toContain(code);
  const { page } = await newPage();
  await page.goto(`file://${path}`);
  await page.getByText(reason).first().waitFor();
  expect(existsSync(path)).toBe(false);
  await page.context().close();
  await running.stop();
});

test("a stranger's page can neither open the socket, nor read a file, nor frame the page, nor load its script", async () => {
  const running = await startAgent();
  const { address } = running.agent.stdout.json()[0] as { address: string };
  const code = (await running.newAddress()).split('#code=')[1];
  const stranger = createServer((_request, response) =>
    response.setHeader('Content-Type', 'text/html').end('<!doctype html><title>evil</title>'),
  );
  await new Promise<void>((resolve) => stranger.listen(0, '127.0.0.1', resolve));
  const { page } = await newPage();
  await page.goto(`http://127.0.0.1:${(stranger.address() as AddressInfo).port}/`);
  const tried = await page.evaluate(
    async ({ address, code }) => {
      const socket = await new Promise((resolve) => {
        const opened = new WebSocket(`${address.replace('http', 'ws')}/rpc`);
        opened.onopen = () => opened.send(JSON.stringify({ authenticate: { code } }));
        opened.onmessage = (event) => resolve(event.data);
        opened.onclose = () => resolve('closed');
      });
      const read = await fetch(`${address}/index.html`).then(
        (response) => response.text(),
        () => 'refused',
      );
      const script = await new Promise((resolve) => {
        const element = document.createElement('script');
        element.onload = () => resolve('loaded');
        element.onerror = () => resolve('refused');
        element.src = `${address}/`;
        document.head.append(element);
      });
      const frame = document.createElement('iframe');
      frame.src = address;
      await new Promise((resolve) => {
        frame.onload = resolve;
        document.body.append(frame);
      });
      return { socket, read, script };
    },
    { address, code },
  );
  expect(tried).toEqual({ socket: 'closed', read: 'refused', script: 'refused' });
  const frames = await Promise.all(page.frames().map((frame) => frame.title().catch(() => '')));
  expect(frames).not.toContain('Hearthlend');
  await page.context().close();
  await new Promise((resolve) => stranger.close(resolve));
  await running.stop();
});

test('a name of a stranger that was made to lead to this machine gets nothing', async () => {
  const running = await startAgent();
  const { port } = running.agent.stdout.json()[0] as { port: number };
  const { page } = await newPage();
  const answered = page.waitForResponse(/evil\.example/);
  await page.goto(`http://evil.example:${port}/`).catch(() => undefined); // an empty refusal is an error page to Chromium
  expect((await answered).status()).toBe(403);
  await page.context().close();
  await running.stop();
});
