import { expect, test } from 'vitest';
import type { AddBackendRequest } from '../../core/backend-adding.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { FakeApp } from '../fakes/app.ts';
import { openConsole } from './console.ts';

type Adding = (request: Omit<AddBackendRequest, 'parts'>) => Promise<{ version: string; bytes: number }>;
const console = (addBackend: Adding, env: Record<string, string> = {}) => openConsole(() => new FakeApp(), { addBackend, env });

test('backend add cuda fetches into the data folder, through the proxy, and says what came', async () => {
  const asked: Omit<AddBackendRequest, 'parts'>[] = [];
  const at = console(
    async (request) => {
      asked.push(request);
      request.onProgress({ step: 'fetching', bytes: 5_000_000, totalBytes: 10_000_000 });
      request.onProgress({ step: 'unpacking' });
      return { version: '1.30.0', bytes: 512_000_000 };
    },
    { HTTPS_PROXY: 'http://proxy.example:3128' },
  );
  const added = at.run('backend', 'add', 'cuda');
  expect(await added.exitCode).toBe(0);
  expect(added.stdout.text).toContain('Added the CUDA libraries of ONNX Runtime 1.30.0: 512.0 MB.');
  expect(asked[0]).toMatchObject({ dataDir: at.dataDir, feed: null, proxy: { HTTPS_PROXY: 'http://proxy.example:3128' } });
  const json = at.run('backend', 'add', 'cuda', '--json', '--feed', 'https://feed.example/index.json');
  expect(await json.exitCode).toBe(0);
  expect(
    json.stdout.text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line)),
  ).toEqual([
    { event: 'backend.progress', step: 'fetching', bytes: 5_000_000, totalBytes: 10_000_000 },
    { event: 'backend.progress', step: 'unpacking' },
    { event: 'done', backend: 'cuda', version: '1.30.0', bytes: 512_000_000 },
  ]);
  expect(asked[1]?.feed).toBe('https://feed.example/index.json');
});

test('what is there already is said, and a refusal has its code and its next step', async () => {
  const present = console(async () => ({ version: '1.30.0', bytes: 0 })).run('backend', 'add', 'cuda');
  expect(await present.exitCode).toBe(0);
  expect(present.stdout.text).toContain('are there already');
  const refused = console(async () => {
    throw new HearthlendError('BACKEND_UNKNOWN', { backend: 'CUDA', detail: 'this is darwin on arm64' });
  }).run('backend', 'add', 'cuda');
  expect(await refused.exitCode).toBe(1);
  expect(refused.stderr.text).toContain('BACKEND_UNKNOWN');
});

test('Ctrl-C ends the fetching; another backend than cuda is wrong usage', async () => {
  const at = console(
    ({ signal }) =>
      new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new HearthlendError('CANCELLED')));
      }),
  );
  const running = at.run('backend', 'add', 'cuda');
  running.signal('SIGINT');
  expect(await running.exitCode).toBe(1);
  expect(await at.run('backend', 'add', 'rocm').exitCode).toBe(2);
});
