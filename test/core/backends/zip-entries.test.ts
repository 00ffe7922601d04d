import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { afterAll, expect, test } from 'vitest';
import { ZipFile } from '../../../core/backends/zip-entries.ts';
import { HearthlendError } from '../../../core/contract/errors.ts';

const folder = mkdtempSync(join(tmpdir(), 'hearthlend-zip-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;

/** What an entry of a zip is unpacked to; the code of the refusal where it isn't. */
async function unpack(bytes: Uint8Array, name: string, limitBytes = 1 << 20): Promise<Uint8Array | string> {
  count += 1;
  const [path, target] = [join(folder, `${count}.zip`), join(folder, `${count}.out`)];
  writeFileSync(path, bytes);
  let zip: ZipFile | undefined;
  try {
    zip = await ZipFile.open(path, 'feed.example');
    await zip.extract(name, target, limitBytes);
    return new Uint8Array(readFileSync(target));
  } catch (error) {
    if (error instanceof HearthlendError) return error.code;
    throw error;
  } finally {
    await zip?.close();
    rmSync(path);
    if (existsSync(target)) rmSync(target);
  }
}

const content = fc.uint8Array({ maxLength: 2000 });
const level = fc.constantFrom(0, 6, 9) as fc.Arbitrary<0 | 6 | 9>;

test('what is packed is unpacked, whichever way and among whatever else', async () => {
  await fc.assert(
    fc.asyncProperty(content, content, level, async (wanted, other, packing) => {
      const zip = zipSync({ 'a/other': other, 'b/wanted': [wanted, { level: packing }] });
      expect(await unpack(zip, 'b/wanted')).toEqual(wanted);
    }),
    { numRuns: 25 },
  );
});

test('a zip of which a byte was changed, or the end is missing, gives the same bytes or a refusal, never others', async () => {
  const wanted = new Uint8Array(Buffer.from('libraries and more libraries. '.repeat(40)));
  const zip = zipSync({ wanted, other: Buffer.from('other') });
  await fc.assert(
    fc.asyncProperty(fc.nat(zip.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), async (at, by, cut) => {
      const changed = cut ? zip.slice(0, at) : zip.slice();
      if (!cut) changed[at] = (changed[at] as number) ^ by;
      const found = await unpack(changed, 'wanted');
      if (typeof found === 'string') expect(found).toBe('BACKEND_DOWNLOAD_INVALID');
      else expect(found).toEqual(wanted);
    }),
    { numRuns: 60 },
  );
});

test('an entry that is missing or larger than allowed is refused', async () => {
  const zip = zipSync({ a: new Uint8Array(5000) });
  expect(await unpack(zip, 'b')).toBe('BACKEND_DOWNLOAD_INVALID');
  expect(await unpack(zip, 'a', 4999)).toBe('BACKEND_DOWNLOAD_INVALID');
  expect(await unpack(new Uint8Array(0), 'a')).toBe('BACKEND_DOWNLOAD_INVALID');
});
