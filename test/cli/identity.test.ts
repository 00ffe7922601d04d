import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { FakeApp } from '../fakes/app.ts';
import { noIdentity, noWallet } from '../fakes/wallet.ts';
import { openConsole } from './console.ts';

test('what a wallet elsewhere is to sign goes out as typed data and comes back, with its signature, as it went out', async () => {
  const app = () => {
    const opened = new FakeApp();
    Object.assign(opened.handlers, {
      'wallet.status': async () => noWallet({ kind: 'watch', address: wallet }),
      'identity.prepare': async () => claim,
      'identity.keep': async (given: unknown) => {
        kept.push(given);
        return noIdentity();
      },
    });
    return opened;
  };
  const [wallet, worker] = [`0x${'11'.repeat(20)}`, `0x${'22'.repeat(20)}`];
  const networkKey = `0x${'00'.repeat(20)}`;
  const said = { wallet, worker, networkKey, scope: 'earn', notBefore: 1_800_000_000, expiry: 1_800_000_060, nonce: 7 };
  const claim = { kind: 'delegation', delegation: said };
  const kept: unknown[] = [];
  const console = openConsole(app);
  expect(await console.run('identity', 'delegate', '--yes').exitCode).toBe(2);
  const file = join(console.dataDir, 'to-sign.json');
  expect(await console.run('identity', 'delegate', '--out', file).exitCode).toBe(0);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ primaryType: 'WorkerDelegation', domain: { name: 'Hearthlend' } });
  const signature = `0x${'AB'.repeat(65)}`;
  expect(await console.run('identity', 'delegate', '--in', file, '--signature', signature).exitCode).toBe(0);
  expect(kept).toEqual([{ claim, signature: signature.toLowerCase() }]);

  expect(await console.run('identity', 'delegate', '--in', file).exitCode).toBe(2);
  // Not what is asked for: a revocation is other than a delegation.
  expect(await console.run('identity', 'revoke', '--in', file, '--signature', signature).exitCode).toBe(2);
  writeFileSync(file, '{"message":{}}');
  expect(await console.run('identity', 'delegate', '--in', file, '--signature', signature).exitCode).toBe(2);
  expect(kept).toHaveLength(1);
});

test('a wallet elsewhere signs for a new worker key before it takes the old one’s place; nobody is asked twice', async () => {
  const [wallet, from, to] = ['11', '22', '33'].map((byte) => `0x${byte.repeat(20)}`) as [string, string, string];
  const term = { networkKey: `0x${'00'.repeat(20)}`, scope: 'earn', notBefore: 1_800_000_000, expiry: 1_800_000_060 };
  const delegation = { kind: 'delegation', delegation: { wallet, worker: to, ...term, nonce: 8 } };
  const revocation = { kind: 'revocation', revocation: { wallet, worker: from, nonce: 8 } };
  const asked: unknown[] = [];
  const console = openConsole(() => {
    const opened = new FakeApp();
    Object.assign(opened.handlers, {
      'wallet.status': async () => noWallet({ kind: 'watch', address: wallet }),
      'identity.rekey-plan': async () => ({ from, to, claims: [delegation, revocation] }),
      'identity.rekey': async (given: unknown) => {
        asked.push(given);
        return noIdentity();
      },
    });
    return opened;
  });
  // Nobody sits at a terminal, and the wallet is not here.
  expect(await console.run('identity', 'rekey').exitCode).toBe(2);
  const file = join(console.dataDir, 'to-sign.json');
  expect(await console.run('identity', 'rekey', '--out', file).exitCode).toBe(0);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ primaryType: 'WorkerDelegation', message: { worker: to } });
  expect(asked).toEqual([]);
  const signature = `0x${'ab'.repeat(65)}`;
  const done = console.run('identity', 'rekey', '--in', file, '--signature', signature, '--yes');
  expect(await done.exitCode).toBe(0);
  expect(done.stdout.text).toContain(`${from} is this machine's worker no more.`);
  expect(asked).toEqual([{ agreed: [{ claim: delegation, signature }] }]);
});
