import { expect, test } from 'vitest';
import { withoutNumbersOfOne } from '../../../core/contract/numbers-of-one.ts';

test.each([
  ['GPU-8f2b1c3d-1111-2222-3333-444455556666', '(removed)'],
  ['uuid 8F2B1C3D-1111-2222-3333-444455556666.', 'uuid (removed).'],
  ['Serial Number: PF2ABCDE', 'Serial Number: (removed)'],
  ['"serial":"S/123"', '"serial":"S/123"'],
  ['"serialNumber": "5CD1234XYZ"', '"serialNumber": "(removed)"'],
  ['eth0 aa:bb:cc:dd:ee:ff up', 'eth0 (removed) up'],
  ['0000:01:00.0 NVIDIA GeForce RTX 3090, driver 580.95.05', '0000:01:00.0 NVIDIA GeForce RTX 3090, driver 580.95.05'],
])('of "%s" a report keeps "%s"', (text, kept) => {
  expect(withoutNumbersOfOne(text)).toBe(kept);
});
