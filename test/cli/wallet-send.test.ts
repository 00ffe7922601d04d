import { expect, test } from 'vitest';
import type { SendOffer } from '../../core/contract/sending.ts';
import { FakeApp } from '../fakes/app.ts';
import { noWallet } from '../fakes/wallet.ts';
import { openConsole } from './console.ts';

const to = '0x90F8bf6A479f320ead074411a4B0e7944Ea8c9C1';
const from = `0x${'11'.repeat(20)}`;

function sendingApp(change: Partial<SendOffer> = {}) {
  const app = new FakeApp();
  const sent: unknown[] = [];
  const offer: SendOffer = {
    ...{ chainId: 1612, from, to, amount: '1500000000000000000', asset: 'eip155:1612/slip44:60', symbol: 'OPEN', decimals: 18 },
    ...{ costs: '21000000000000', costsSymbol: 'OPEN', contact: null, sentBefore: false, alike: null, seen: `0x${'ab'.repeat(32)}` },
    words: { key: 'signer.send-native', params: { to, chainId: '1612', amount: '1.5' } },
    ...change,
  };
  Object.assign(app.handlers, {
    'wallet.status': async () => noWallet({ kind: 'own', address: from, unlocked: true }),
    'payments.send-plan': async () => offer,
    'payments.send': async (confirmed: unknown) => {
      sent.push(confirmed);
      return {
        ...{ chainId: 1612, kind: 'send', subject: to, from, nonce: 0, hashes: [`0x${'22'.repeat(32)}`], maxFeePerGas: '1' },
        ...{ maxPriorityFeePerGas: '1', gasLimit: 21_000, sentAt: 1, replacedAt: null, state: 'pending', block: null },
      };
    },
  });
  return { app, sent };
}
const send = ['wallet', 'send', '--to', to, '--amount', '1.5', '--chain', '1612'];

test('wallet send says fees first and what the wallet reads last, and sends that alone, where somebody or --yes says so', async () => {
  const { app, sent } = sendingApp();
  const asked = openConsole(() => app).run(...send);
  expect(await asked.exitCode).toBe(2);
  expect(sent).toEqual([]);
  const lines = asked.stdout.lines();
  expect(lines[0]).toBe('Fees: at most 0.000021 OPEN.');
  expect(lines.at(-1)).toBe(`The wallet reads: Send 1.5 of the native token of chain 1612 to ${to}.`);
  const again = sendingApp();
  const done = openConsole(() => again.app).run(...send, '--yes', '--json');
  expect(await done.exitCode).toBe(0);
  expect(done.stdout.json().map(({ event }) => event)).toEqual(['send-offer', 'send']);
  const seen = `0x${'ab'.repeat(32)}`;
  expect(again.sent).toEqual([{ chainId: 1612, to, amount: '1.5', asset: null, seen, costs: '21000000000000', newAddress: false }]);
});

test('wallet send refuses a look-alike in spite of --yes, and asks which chain where there are several', async () => {
  const { app, sent } = sendingApp({ alike: `0x90F8${'0'.repeat(32)}c9C1` });
  const alike = openConsole(() => app).run(...send, '--yes');
  expect(await alike.exitCode).toBe(1);
  expect(alike.stderr.text).toContain('SEND_LOOKS_ALIKE');
  expect(sent).toEqual([]);
  const several = openConsole(() => sendingApp().app).run('wallet', 'send', '--to', to, '--amount', '1');
  expect(await several.exitCode).toBe(2);
  expect(several.stderr.text).toContain('1612 OpenLedger');
});
