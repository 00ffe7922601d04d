import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { browserEnvironment, browserFlags, gpuFlags, windowLevel } from '../../../core/gpu-window/flags.ts';
import { type BrowserEvent, DevToolsPipe } from '../../../core/gpu-window/pipe.ts';

function openPipe() {
  const out = new PassThrough();
  const incoming = new PassThrough();
  const events: BrowserEvent[] = [];
  const broken: string[] = [];
  const pipe = new DevToolsPipe(
    out,
    incoming,
    (event) => events.push(event),
    (detail) => broken.push(detail),
  );
  return { pipe, out, incoming, events, broken };
}

test('what a browser tells arrives whole, however it is cut on the way', async () => {
  const names = fc.array(fc.string({ maxLength: 40 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(names, fc.integer({ min: 1, max: 30 }), async (methods, size) => {
      const { incoming, events, broken } = openPipe();
      const bytes = Buffer.from(methods.map((method) => `${JSON.stringify({ method, params: { method } })}\0`).join(''));
      for (let at = 0; at < bytes.length; at += size) incoming.write(bytes.subarray(at, at + size));
      incoming.end();
      await once(incoming, 'end');
      expect(broken).toEqual([]);
      expect(events).toEqual(methods.map((method) => ({ method, params: { method }, session: undefined })));
    }),
  );
});

test('answers find who asked, and what is still asked fails when the browser goes', async () => {
  const { pipe, out, incoming } = openPipe();
  const [first, second] = [pipe.send('Browser.getVersion'), pipe.send('Page.enable', {}, 'page')];
  expect(String(out.read())).toContain('"sessionId":"page"');
  incoming.write('{"id":2,"error":{"code":-1,"message":"no such page"}}\0{"id":1,"result":{"product":"x"}}\0');
  expect(await first).toEqual({ product: 'x' });
  await expect(second).rejects.toThrow('Page.enable: no such page');
  const third = pipe.send('Page.enable');
  incoming.destroy();
  await expect(third).rejects.toThrow('the browser is gone');
  await expect(pipe.send('Page.enable')).rejects.toThrow('the browser is gone');
});

test.each([
  ['no JSON', 'rubbish\0'],
  ['no message', '{"id":"one"}\0'],
  ['a message without an end', 'x'.repeat(65 * 2 ** 20)],
])('%s is a browser to be killed', async (_what, text) => {
  const { pipe, incoming, broken, events } = openPipe();
  incoming.end(text);
  await once(incoming, 'end');
  expect([broken.length, events.length]).toEqual([1, 0]);
  await expect(pipe.send('Page.enable')).rejects.toThrow('the browser is gone');
});

test("a browser is given nothing of the agent's environment but what it can't start without, and never another's profile", () => {
  const ours = { HEARTHLEND_HOME: '/data', SECRET: 'x', PATH: '/own', SystemRoot: 'C:\\Windows', LOCALAPPDATA: 'C:\\Local' };
  expect(browserEnvironment('/profile', 'linux', ours)).toEqual({
    ...{ HOME: '/profile', TMPDIR: '/profile', PATH: '/usr/local/bin:/usr/bin:/bin', LANG: 'C.UTF-8' },
  });
  expect(browserEnvironment('C:\\profile', 'win32', ours)).toEqual({ SystemRoot: 'C:\\Windows', LOCALAPPDATA: 'C:\\Local' });
  const flags = browserFlags('/profile', true, []);
  expect(flags).toContain('--user-data-dir=/profile');
  expect(flags.filter((flag) => /sandbox|-port|unsafe|address/.test(flag))).toEqual([]);
  expect(browserFlags('/profile', false, [])).toContain('--no-sandbox');
  expect([gpuFlags('win32'), gpuFlags('darwin')]).toEqual([[], []]);
  expect(gpuFlags('linux')).toContain('--use-angle=vulkan');
  expect([windowLevel(0), windowLevel(1000), windowLevel(undefined)]).toEqual(['process', 'chromium', 'chromium']);
});
