import { statSync } from 'node:fs';
import { join } from 'node:path';
import { getBytes, Wallet } from 'ethers';
import { expect, test } from 'vitest';
import { typedData } from '../../core/contract/delegation-hash.ts';
import { IdentityStatus } from '../../core/contract/identity.ts';
import { identityHandlers } from '../../core/identities.ts';
import { openIdentity } from '../../core/identity/identity.ts';
import { openBench, refusal, temporaryFolder } from './wallet/workbench.ts';

const KEY = `0x${'4c'.repeat(32)}`;

/** A data folder with a worker and a wallet, whose signer is the real one. */
async function open() {
  const dataDir = temporaryFolder();
  const worker = openIdentity(join(dataDir, 'identity.json')).address;
  const bench = await openBench();
  const clock = { now: Date.now() };
  const handlers = identityHandlers({ dataDir, worker, wallet: bench.wallet, clock: () => clock.now });
  return { dataDir, worker, bench, clock, handlers };
}
const delegate = { kind: 'delegation', networkKey: null, days: 30 } as const;

test('the wallet here signs that the worker earns for it, and takes it back; what was taken back is not kept again', async () => {
  const { bench, worker, handlers, dataDir, clock } = await open();
  expect(await refusal(handlers['identity.prepare'](delegate))).toBe('WALLET_MISSING');
  await bench.import({ kind: 'key', key: KEY });
  const claim = await handlers['identity.prepare'](delegate);
  const { seen, words } = await handlers['identity.describe']({ claim });
  expect(words).toMatchObject({ key: 'signer.delegate', params: { worker, wallet: new Wallet(KEY).address } });
  const status = IdentityStatus.parse(await handlers['identity.sign']({ claim, seen }));
  expect(status).toMatchObject({ worker, wallet: 'own', fault: null, delegation: { delegation: { worker } } });
  expect(statSync(join(dataDir, 'delegation.json')).mode & 0o777).toBe(0o600);
  clock.now += 31 * 86_400_000;
  expect((await handlers['identity.show']({})).fault).toBe('expired');
  clock.now -= 31 * 86_400_000;
  const back = await handlers['identity.prepare']({ kind: 'revocation' });
  const revoked = await handlers['identity.sign']({ claim: back, seen: (await handlers['identity.describe']({ claim: back })).seen });
  expect(revoked).toMatchObject({ delegation: null, revocations: [{ revocation: { worker } }] });
  const { signature = '' } = status.delegation ?? {};
  expect(await refusal(handlers['identity.keep']({ claim, signature }))).toBe('DELEGATION_INVALID');
  const anew = await handlers['identity.prepare'](delegate);
  const again = await handlers['identity.sign']({ claim: anew, seen: (await handlers['identity.describe']({ claim: anew })).seen });
  expect(again).toMatchObject({ fault: null, delegation: { delegation: { worker } } });
});

test('a wallet elsewhere signs what is written out for it; a signature of anybody else is not kept', async () => {
  const { bench, handlers } = await open();
  const elsewhere = new Wallet(KEY);
  bench.wallet.watch(elsewhere.address);
  const claim = await handlers['identity.prepare'](delegate);
  const { domain, types, message, primaryType } = JSON.parse(JSON.stringify(typedData(claim))) as {
    domain: object;
    types: Record<string, { name: string; type: string }[]>;
    message: Record<string, string>;
    primaryType: string;
  };
  expect(primaryType).toBe('WorkerDelegation');
  const { EIP712Domain: _, ...signedTypes } = types;
  const signature = await elsewhere.signTypedData(domain, signedTypes, message);
  const other = await Wallet.createRandom().signTypedData(domain, signedTypes, message);
  for (const wrong of [other, '0x00', `0x${Buffer.from(getBytes(signature)).reverse().toString('hex')}`]) {
    expect(await refusal(handlers['identity.keep']({ claim, signature: wrong }))).toBe('DELEGATION_INVALID');
  }
  expect(await handlers['identity.keep']({ claim, signature })).toMatchObject({ wallet: 'watch', fault: null });
});
