import { expect, test } from 'vitest';
import { AssetEarnings } from '../../../core/contract/snapshot.ts';
import { earningsOf } from '../../../core/earnings/earnings.ts';

const totals = (asset: string) => ({
  asset,
  expected: '1',
  accepted: '20',
  promised: '0',
  paid: '0',
  acceptedShards: 3,
  acceptedToday: '4',
  acceptedShardsToday: 1,
});

test('practice is marked, whole and last; what is known goes by its name, what is not by its own id', () => {
  const unknown = `eip155:1/erc20:0x${'Ab'.repeat(20)}`;
  const earnings = earningsOf([
    totals('hearth:local/credit:practice'),
    totals(unknown),
    totals('eip155:1/erc20:0xA227Cc36938f0c9E09CE0e64dfab226cad739447'),
    totals('eip155:1612/slip44:60'),
  ]);
  expect(earnings.map(({ asset, practice, symbol, decimals }) => [asset, practice, symbol, decimals])).toEqual([
    ['eip155:1/erc20:0xA227Cc36938f0c9E09CE0e64dfab226cad739447', false, 'OPEN', 18],
    [unknown, false, `erc20:0x${'Ab'.repeat(12)}`, 0],
    ['eip155:1612/slip44:60', false, 'OPEN', 18],
    ['hearth:local/credit:practice', true, 'practice', 0],
  ]);
  for (const each of earnings) expect(AssetEarnings.parse(each)).toMatchObject(totals(each.asset));
  expect(earningsOf([])).toEqual([]);
  const known = earningsOf([totals(unknown)], () => ({ symbol: 'MINE', decimals: 6 }));
  expect(known).toMatchObject([{ symbol: 'MINE', decimals: 6, practice: false }]);
});
