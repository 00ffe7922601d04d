import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  watch,
  writeFileSync,
} from 'node:fs';
import { isBuiltin } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = join(import.meta.dirname, '..');
const sources: Record<string, string> = {
  'cli/main.ts':
    "import { z } from 'zod';\nimport { word } from '../core/word.ts';\nexport const say = async () => word + (await import('./later.ts')).later;\nconsole.log(await say(), z.string().parse('checked'), process.argv.slice(2).join(' '));\n",
  'cli/later.ts': "export const later: string = 'later';\n",
  'electron/main.ts': "import { app } from 'electron';\nconsole.log(app);\n",
  'electron/preload.ts': "import { ipcRenderer } from 'electron';\nconsole.log(ipcRenderer);\n",
  'electron/gpu-window/preload.ts': "import { ipcRenderer } from 'electron';\nconsole.log(ipcRenderer);\n",
  'core/wallet/signer/main.ts': "process.stdout.write('signs');\n",
  'core/wallet/signer/payer.ts': "process.stdout.write('pays');\n",
  'core/word.ts': "export const word: string = 'first ';\n",
  'worker/native/main.ts':
    "import { zipSync } from 'fflate';\nimport { InferenceSession } from 'onnxruntime-node';\nconsole.log(typeof zipSync, typeof InferenceSession);\n",
  'worker/native/probe.ts':
    "import { readdirSync } from 'node:fs';\nimport { z } from 'zod';\nconsole.log(readdirSync('/').length, z.string);\n",
  'worker/webgpu/page.ts':
    "import { z } from 'zod';\nexport const load = () => import('onnxruntime-web/jspi');\nconsole.log(typeof z.string, load);\n",
  'worker/webgpu/probe.ts': "console.log('tries');\n",
  'worker/webgpu/bridge.ts': "console.log('bridges');\n",
  'worker/webgpu/index.html': '<!doctype html><script type="module" src="./page.js"></script>\n',
  'renderer/index.html': '<!doctype html><html><body><div id="root"></div><script type="module" src="./main.tsx"></script></body></html>\n',
  'renderer/operator.html': '<!doctype html><html><body><script type="module" src="./main.tsx"></script></body></html>\n',
  'renderer/main.tsx':
    "import '@fontsource-variable/inter';\nimport { createRoot } from 'react-dom/client';\nconst root = document.getElementById('root');\nif (root) createRoot(root).render(<p>hello</p>);\n",
};
let checkout: string;
let running: ChildProcess[];

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'hearthlend-build-'));
  running = [];
  for (const path of ['scripts', 'cli/hearthlend.mjs', 'cli/attached.mjs', 'package.json', 'package-lock.json', 'tsconfig.json'])
    cpSync(join(root, path), join(checkout, path), { recursive: true });
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'), 'junction');
  for (const [path, text] of Object.entries(sources)) write(path, text);
});
afterEach(async () => {
  for (const child of running) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  rmSync(checkout, { recursive: true, force: true, maxRetries: 10 });
});

function write(path: string, text: string): void {
  mkdirSync(dirname(join(checkout, path)), { recursive: true });
  writeFileSync(join(checkout, path), text);
}

function dist(path: string): string {
  return join(checkout, 'dist', path);
}

function node(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  return promisify(execFile)(process.execPath, args, { cwd: checkout });
}

const build = (): Promise<{ stdout: string; stderr: string }> => node('scripts/build.mjs');

test('each program becomes one file, the command one in parts, the pages static files that need no inline script', async () => {
  await build();
  expect(readdirSync(dist('cli')).sort()).toEqual(['main.mjs', 'main.mjs.map', 'parts']);
  expect((await node('dist/cli/main.mjs', 'a', 'b')).stdout).toBe('first later checked a b\n');
  const worker = readFileSync(dist('worker/native.mjs'), 'utf8');
  expect([...worker.matchAll(/^import .* from ["']([^"']+)/gm)].map((match) => match[1]).filter((id) => !isBuiltin(id ?? ''))).toEqual([
    'onnxruntime-node',
  ]);
  expect(existsSync(dist('worker/probe.mjs'))).toBe(true);
  expect(readFileSync(dist('gpu-window/page.js'), 'utf8')).not.toMatch(/^import |import\((?!import)["']onnx/m);
  for (const file of ['index.html', 'probe.js', 'bridge.js', 'onnxruntime.wasm']) expect(existsSync(dist(`gpu-window/${file}`))).toBe(true);
  const page = readFileSync(dist('ui/index.html'), 'utf8');
  expect(page).toMatch(/<script type="module" crossorigin src="\/assets\/[\w-]+\.js"><\/script>/);
  expect(page.match(/<script/g)).toHaveLength(1);
  const assets = readdirSync(dist('ui/assets'));
  expect(assets.some((file) => file.endsWith('.woff2'))).toBe(true);
  for (const file of assets.filter((name) => name.endsWith('.css')))
    expect(readFileSync(dist(`ui/assets/${file}`), 'utf8')).not.toContain('data:');

  const builtMs = statSync(dist('cli/main.mjs')).mtimeMs;
  expect((await build()).stdout).toBe('');
  expect(statSync(dist('cli/main.mjs')).mtimeMs).toBe(builtMs);

  write('cli/later.ts', "export const later: string = 'changed';\n");
  await build();
  expect((await node('dist/cli/main.mjs')).stdout).toContain('first changed');
});

test('a build that fails says why, and the last good build stays as it was', async () => {
  await build();
  write('worker/native/probe.ts', "import 'no-such-package';\n");
  await expect(build()).rejects.toMatchObject({
    code: 1,
    stderr: expect.stringContaining('no-such-package'),
  });
  expect((await node('dist/cli/main.mjs')).stdout).toContain('first later');
});

test('a build killed at any moment is done again, and several at once leave one good build', async () => {
  await build();
  for (const stage of ['.staging-', '.built']) {
    write('core/word.ts', `export const word: string = 'after ${stage} ';\n`);
    const seen = new Promise<void>((resolve) => {
      const watcher = watch(dist('.'), (_event, name) => {
        if (!name?.startsWith(stage)) return;
        watcher.close();
        resolve();
      });
    });
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', 'scripts/bundle.mjs'], {
      cwd: checkout,
      stdio: 'ignore',
    });
    running.push(child);
    await seen;
    child.kill('SIGKILL');
    await once(child, 'exit');
    await Promise.all([build(), build(), build()]);
    expect((await node('dist/cli/main.mjs')).stdout).toContain(`after ${stage} `);
    expect(readdirSync(dist('.')).filter((name) => name.startsWith('.staging-'))).toEqual([]);
  }
});

test('the command builds a checkout that was never built, then runs it', async () => {
  const { stdout } = await node('cli/hearthlend.mjs', 'doctor', '--json');
  expect(stdout).toContain('first later checked doctor --json');
});

test('npx prepares a checkout that can not be built: the command itself says why', async () => {
  write('worker/native/probe.ts', "import 'no-such-package';\n");
  const env = { ...process.env, npm_lifecycle_event: 'prepare', npm_command: 'exec' };
  await promisify(execFile)(process.execPath, ['scripts/build.mjs'], { cwd: checkout, env });
  await expect(node('cli/hearthlend.mjs', 'doctor')).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining('no-such-package') });
});
