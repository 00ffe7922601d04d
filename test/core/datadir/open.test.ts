import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { dataDirPath, openDataDir } from '../../../core/datadir/open.ts';

const scratch = () => mkdtempSync(join(tmpdir(), 'datadir-'));

test.each([
  [{ option: '/x', env: { HEARTHLEND_HOME: '/y', XDG_DATA_HOME: '/z' }, platform: 'linux' }, '/x'],
  [{ option: undefined, env: { HEARTHLEND_HOME: '/y', XDG_DATA_HOME: '/z' }, platform: 'linux' }, '/y'],
  [{ option: undefined, env: { HEARTHLEND_HOME: '', XDG_DATA_HOME: '/z' }, platform: 'linux' }, '/z/hearthlend'],
  [{ option: undefined, env: { XDG_DATA_HOME: 'relative' }, platform: 'linux' }, '/home/ada/.local/share/hearthlend'],
  [{ option: undefined, env: {}, platform: 'linux' }, '/home/ada/.local/share/hearthlend'],
  [{ option: undefined, env: {}, platform: 'darwin' }, '/home/ada/Library/Application Support/Hearthlend'],
] as const)('%j names the folder %s', (question, path) => {
  expect(dataDirPath({ ...question, home: '/home/ada' })).toBe(path);
});

test('on Windows the folder is that of local application data', () => {
  const question = { option: undefined, platform: 'win32', home: 'C:\\Users\\ada' } as const;
  expect(dataDirPath({ ...question, env: { LOCALAPPDATA: 'D:\\Local' } })).toBe('D:\\Local\\Hearthlend');
  expect(dataDirPath({ ...question, env: {} })).toBe('C:\\Users\\ada\\AppData\\Local\\Hearthlend');
});

test('a folder that is not there is made, for its user alone', () => {
  const folder = join(scratch(), 'a', 'b');
  openDataDir(folder);
  openDataDir(folder);
  expect(statSync(folder).mode & 0o777).toBe(0o700);
});

test('a folder that others may write to, or that is none, is refused', () => {
  const folder = scratch();
  const unwritable = (detail: RegExp) =>
    expect.objectContaining({ code: 'DATA_DIR_UNWRITABLE', params: { path: expect.any(String), detail: expect.stringMatching(detail) } });
  for (const mode of [0o770, 0o777, 0o702]) {
    chmodSync(folder, mode);
    expect(() => openDataDir(folder)).toThrow(unwritable(/chmod go-w/));
  }
  chmodSync(folder, 0o755);
  expect(() => openDataDir(folder)).not.toThrow();
  const plain = join(scratch(), 'file');
  writeFileSync(plain, '');
  expect(() => openDataDir(plain)).toThrow(unwritable(/no folder/));
  expect(() => openDataDir(join(plain, 'below'))).toThrow(unwritable(/ENOTDIR/));
});

test('a folder on a read-only disk is refused', async () => {
  const folder = scratch();
  const module = JSON.stringify(join(import.meta.dirname, '../../../core/datadir/open.ts'));
  const script = `import { openDataDir } from ${module};
    for (const folder of ${JSON.stringify([folder, join(folder, 'new')])}) try { openDataDir(folder); } catch (error) { console.log(error.code); }`;
  const args = ['--dev-bind', '/', '/', '--ro-bind', folder, folder, '--', process.execPath, '--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)('bwrap', args);
  expect(stdout).toBe('DATA_DIR_UNWRITABLE\nDATA_DIR_UNWRITABLE\n');
});
