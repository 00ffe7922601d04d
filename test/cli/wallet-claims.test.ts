import { expect, test } from 'vitest';
import type { ClaimOffer, NetworkCredit } from '../../core/contract/payments.ts';
import { FakeApp } from '../fakes/app.ts';
import { openConsole } from './console.ts';

const owed: NetworkCredit = {
  ...{ network: 'studio', asset: 'eip155:31337/slip44:60', symbol: 'OPEN', decimals: 18, chainId: 31_337 },
  ...{ contract: `0x${'ab'.repeat(20)}`, payer: `0x${'cd'.repeat(20)}` },
  ...{ accepted: '3000000000000000000', promised: '2000000000000000000', paid: '0', short: '500000000000000000', unvouched: '0' },
  ...{ withheldSince: null, secured: null, payable: '2000000000000000000', exposure: '3000000000000000000', limit: '1000000000000000000' },
  stopped: { key: 'reason.over-credit', params: { network: 'studio', over: '2', symbol: 'OPEN' } },
  ...{ trouble: null, checkedAt: null },
};
const offer: ClaimOffer = {
  ...{ network: 'studio', costs: '210000000000000', gasAddress: `0x${'ef'.repeat(20)}`, gasBalance: '0', symbol: 'OPEN' },
  parts: [{ payee: `0x${'11'.repeat(20)}`, asset: owed.asset, pays: '1500000000000000000', owed: '500000000000000000' }],
  verdict: 'under-least',
};

function consoleOwed() {
  const claimed: string[] = [];
  const app = new FakeApp();
  Object.assign(app.handlers, {
    'payments.status': async () => ({ networks: [owed], gasKey: null, gasKeyTrouble: null, chains: [], transactions: [] }),
    'payments.plan': async () => offer,
    'payments.claim': async ({ network }: { network: string }) => {
      claimed.push(network);
      return {
        ...{ chainId: 31_337, kind: 'claim', subject: 'x', from: offer.gasAddress, nonce: 0, hashes: [`0x${'22'.repeat(32)}`] },
        ...{ maxFeePerGas: '1', maxPriorityFeePerGas: '1', gasLimit: 21_000, sentAt: 1, replacedAt: null, state: 'pending', block: null },
      };
    },
  });
  return { claimed, app };
}

test('wallet balance says what is owed, what secures it, what is short, and why the work has stopped', async () => {
  const { app } = consoleOwed();
  const balance = openConsole(() => app).run('wallet', 'balance');
  expect(await balance.exitCode).toBe(0);
  const { text } = balance.stdout;
  expect(text).toContain('accepted 3 OPEN, promised 2 OPEN, paid 0 OPEN');
  expect(text).toContain('a claim brings 2 OPEN now; ? is set aside for you; 3 OPEN would be lost');
  expect(text).toContain('0.5 OPEN too little');
  expect(text).toContain('studio owes 2 OPEN more than you let it');
});

test('wallet claim says fees first, then what arrives; where nobody can be asked it sends nothing without --yes', async () => {
  const { app, claimed } = consoleOwed();
  const asked = openConsole(() => app).run('wallet', 'claim');
  expect(await asked.exitCode).toBe(2);
  expect(claimed).toEqual([]);
  const lines = asked.stdout.lines();
  expect(lines[0]).toMatch(/^Fees: at most 0\.00021 OPEN/);
  expect(lines[1]).toMatch(/^Arrives: 1\.5 OPEN at 0x1111.*0\.5 OPEN stays owed/);
  expect(lines[2]).toContain('not worth a claim yet');
  const again = consoleOwed();
  const sent = openConsole(() => again.app).run('wallet', 'claim', '--network', 'studio', '--yes', '--json');
  expect(await sent.exitCode).toBe(0);
  expect(sent.stdout.json().map(({ event }) => event)).toEqual(['claim-offer', 'claim']);
  expect(again.claimed).toEqual(['studio']);
});
