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
