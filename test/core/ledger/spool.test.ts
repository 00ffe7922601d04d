import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { openSpool } from '../../../core/ledger/spool.ts';

const folderOf = () => join(mkdtempSync(join(tmpdir(), 'spool-')), 'spool');
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('what is put can be got, by its digest, after opening anew', async () => {
  const folder = folderOf();
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 5000 }), async (bytes) => {
      const digest = digestOf(bytes);
      await (await openSpool(folder)).put(digest, bytes);
      expect(Buffer.from(await (await openSpool(folder)).get(digest, 's1')).equals(bytes)).toBe(true);
    }),
    { numRuns: 20 },
  );
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
});

test('bytes that are not those of the digest are neither put nor got', async () => {
  const folder = folderOf();
  const spool = await openSpool(folder);
  const bytes = Buffer.from('the result');
  const mismatch = expect.objectContaining({ code: 'DIGEST_MISMATCH' });
  await expect(spool.put('0'.repeat(64), bytes)).rejects.toThrow(mismatch);
  expect(readdirSync(folder)).toEqual([]);
  await spool.put(digestOf(bytes), bytes);
  writeFileSync(join(folder, digestOf(bytes)), 'the resulT');
  await expect(spool.get(digestOf(bytes), 's1')).rejects.toThrow(mismatch);
  await expect(spool.get('0'.repeat(64), 's1')).rejects.toThrow(expect.objectContaining({ code: 'SPOOL_LOST', params: { shard: 's1' } }));
  await expect(spool.get('../../etc/passwd', 's1')).rejects.toThrow();
});

test('what is removed is gone, and removing what is gone does nothing', async () => {
  const folder = folderOf();
  const spool = await openSpool(folder);
  const bytes = Buffer.alloc(3_000_000, 7);
  await spool.put(digestOf(bytes), bytes);
  await spool.remove(digestOf(bytes));
  await spool.remove(digestOf(bytes));
  expect(readdirSync(folder)).toEqual([]);
});

test('sweeping keeps what is named and deletes the rest, half-written files too', async () => {
  const folder = folderOf();
  const spool = await openSpool(folder);
  const [kept, left] = [Buffer.from('kept'), Buffer.from('left')];
  await spool.put(digestOf(kept), kept);
  await spool.put(digestOf(left), left);
  writeFileSync(join(folder, `${digestOf(kept)}.1234.partial`), 'ke');
  await spool.sweep(new Set([digestOf(kept)]));
  expect(readdirSync(folder)).toEqual([digestOf(kept)]);
});

test('a disk that is full or read-only is named, and leaves nothing half-written', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'full-'));
  mkdirSync(join(folder, 'small'));
  mkdirSync(join(folder, 'fixed'));
  // A real file system of 256 KiB, and one that is read-only, in a mount namespace of a child's own.
  const mounts = [
    '--dev-bind',
    '/',
    '/',
    '--size',
    String(1 << 18),
    '--tmpfs',
    join(folder, 'small'),
    '--ro-bind',
    join(folder, 'fixed'),
    join(folder, 'fixed'),
  ];
  const script = join(import.meta.dirname, 'full-disk.ts');
  const { stdout } = await promisify(execFile)('bwrap', [...mounts, '--', process.execPath, script, folder]);
  expect(JSON.parse(stdout)).toEqual({ full: 'DISK_FULL', left: ['first'], readable: true, fixed: 'DATA_DIR_UNWRITABLE' });
  rmSync(folder, { recursive: true });
});
