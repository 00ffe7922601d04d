import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { forbiddenArrow, importsOf } from './arrows.ts';

test('no source file draws a forbidden arrow', () => {
  const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
    .split('\n')
    .filter((file) => /\.[cm]?[jt]sx?$/.test(file) && file.includes('/') && !/^(test|scripts|resources)\//.test(file) && existsSync(file));
  expect(files).toContain('cli/hearthlend.mjs');
  const forbidden = files.flatMap((file) =>
    importsOf(file, readFileSync(file, 'utf8')).flatMap((specifier) => {
      const reason = forbiddenArrow(file, specifier);
      return reason === undefined ? [] : [`${file} -> ${specifier}: ${reason}`];
    }),
  );
  expect(forbidden).toEqual([]);
});

test.each([
  ['electron/main.ts', '../core/app.ts'],
  ['cli/main.ts', '../core/app.ts'],
  ['cli/main.ts', '../core/ledger/verify.ts'],
  ['cli/main.ts', '../coordinator/local.ts'],
  ['cli/ports/server.ts', '../../core/contract/rpc.ts'],
  ['cli/main.ts', 'node:http'],
  ['cli/hearthlend.mjs', undefined],
  ['core/app.ts', './ledger/append.ts'],
  ['core/app.ts', './wallet/sign.ts'],
  ['core/ledger/append.ts', '../contract/receipt.ts'],
  ['core/ledger/append.ts', './schema.ts'],
  ['core/ledger/migrations/first.ts', '../schema.ts'],
  ['core/ledger/append.ts', 'node:crypto'],
  ['core/ledger/append.ts', 'better-sqlite3'],
  ['core/wallet/claim.ts', '../../resources/contracts/escrow.json'],
  ['core/contract/words.ts', '../../resources/locales/en.json'],
  ['core/contract/receipt.ts', './money.ts'],
  ['core/contract/receipt.ts', 'zod'],
  ['coordinator/store.ts', '../core/contract/shard.ts'],
  ['coordinator/store.ts', './lease.ts'],
  ['worker/native/main.ts', '../../core/contract/frame.ts'],
  ['worker/native/main.ts', 'node:process'],
  ['worker/webgpu/page.ts', 'onnxruntime-web'],
  ['renderer/app.tsx', '../core/contract/rpc.ts'],
  ['renderer/app.tsx', 'react-dom/client'],
  ['renderer/app.tsx', './app.css'],
])('%s may import %s', (from, specifier) => {
  expect(forbiddenArrow(from, specifier)).toBeUndefined();
});

test.each([
  ['core/app.ts', '../coordinator/local.ts'],
  ['core/app.ts', '../worker/native/main.ts'],
  ['core/app.ts', '../cli/main.ts'],
  ['core/app.ts', 'electron'],
  ['core/app.ts', 'react'],
  ['core/app.ts', '../resources/locales/en.json'],
  ['core/network/local.ts', '../wallet/sign.ts'],
  ['core/network/local.ts', '../app.ts'],
  ['core/network/local.ts', '../ledger/append.ts'],
  ['core/network/deep/er.ts', '../../wallet/sign.ts'],
  ['core/contract/receipt.ts', '../ledger/append.ts'],
  ['core/contract/receipt.ts', '../app.ts'],
  ['core/contract/receipt.ts', 'node:crypto'],
  ['core/contract/receipt.ts', 'fs'],
  ['core/contract/receipt.ts', '../../resources/models/card.json'],
  ['coordinator/store.ts', '../core/app.ts'],
  ['coordinator/store.ts', '../core/ledger/append.ts'],
  ['coordinator/store.ts', '../cli/main.ts'],
  ['worker/native/main.ts', '../../core/app.ts'],
  ['worker/native/main.ts', '../../core/supervisor/frames.ts'],
  ['worker/native/main.ts', '../../resources/locales/en.json'],
  ['worker/webgpu/page.ts', 'node:fs'],
  ['renderer/app.tsx', '../core/earnings/sum.ts'],
  ['renderer/app.tsx', '../cli/main.ts'],
  ['renderer/app.tsx', '../resources/locales/en.json'],
  ['renderer/app.tsx', 'node:fs'],
  ['renderer/app.tsx', 'electron'],
  ['renderer/app.tsx', '/core/app.ts'],
  ['electron/main.ts', '../cli/main.ts'],
  ['electron/main.ts', '../renderer/app.tsx'],
  ['electron/main.ts', '../worker/native/main.ts'],
  ['cli/main.ts', '../electron/main.ts'],
  ['cli/main.ts', '../renderer/app.tsx'],
  ['cli/main.ts', '../worker/native/main.ts'],
  ['cli/main.ts', '../test/fakes/clock.ts'],
  ['cli/main.ts', '../scripts/setup.mjs'],
  ['cli/main.ts', undefined],
  ['core/app.ts', 'hearthlend/core/app.ts'],
  ['core/app.ts', '#core/app.ts'],
  ['core/app.ts', 'file:///core/app.ts'],
  ['shared/thing.ts', './other.ts'],
])('%s may not import %s', (from, specifier) => {
  expect(forbiddenArrow(from, specifier)).toEqual(expect.any(String));
});

test('every way of naming another module is seen', () => {
  const text = `
    import a from './value.ts';
    import './effect.ts';
    import type { B } from './type.ts';
    import { type C } from './inline-type.ts';
    import data from './data.json' with { type: 'json' };
    export { d } from './named.ts';
    export type { E } from './named-type.ts';
    export * from './all.ts';
    export * as f from './namespace.ts';
    const g = async () => import('./dynamic.ts');
    const h = await import(\`./template.ts\`);
    type I = import('./import-type.ts').I;
    type J = typeof import('./import-typeof.ts');
    const k = require('./required.cjs');
    new Worker(new URL('./worker.ts', import.meta.url));
    new URL('./picture.png', import.meta.url);
    import(a + '.ts');
  `;
  expect(importsOf('core/app.ts', text)).toEqual([
    './value.ts',
    './effect.ts',
    './type.ts',
    './inline-type.ts',
    './data.json',
    './named.ts',
    './named-type.ts',
    './all.ts',
    './namespace.ts',
    './dynamic.ts',
    './template.ts',
    './import-type.ts',
    './import-typeof.ts',
    './required.cjs',
    './worker.ts',
    undefined,
  ]);
  expect(importsOf('renderer/app.tsx', "import App from './app.tsx'; const x = <App />;")).toEqual(['./app.tsx']);
  expect(() => importsOf('core/app.ts', 'import {')).toThrow('core/app.ts');
});
