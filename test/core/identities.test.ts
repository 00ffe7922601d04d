import { statSync } from 'node:fs';
import { join } from 'node:path';
import { getBytes, Wallet } from 'ethers';
import { expect, test } from 'vitest';
import type { WalletClaim } from '../../core/contract/delegation.ts';
import { DELEGATION_DOMAIN, DELEGATION_TYPES, typedData } from '../../core/contract/delegation-hash.ts';
import { IdentityStatus } from '../../core/contract/identity.ts';
import { pathBetween } from '../../core/contract/succession-hash.ts';
import { identityHandlers } from '../../core/identities.ts';
import { openIdentity, presentIdentity } from '../../core/identity/identity.ts';
import { rekeyHandlers } from '../../core/rekeying.ts';
import { openBench, refusal, temporaryFolder } from './wallet/workbench.ts';

const KEY = `0x${'4c'.repeat(32)}`;

/** A data folder with a worker and a wallet, whose signer is the real one. */
async function open() {
  const dataDir = temporaryFolder();
  const worker = openIdentity(join(dataDir, 'identity.json')).address;
  const bench = await openBench();
  const clock = { now: Date.now() };
  const told: WalletClaim[] = [];
  const tellNetworks = (claim: WalletClaim) => void told.push(claim);
  const handlers = identityHandlers({ dataDir, worker, wallet: bench.wallet, clock: () => clock.now, tellNetworks });
  return { dataDir, worker, bench, clock, handlers, told };
}
const delegate = { kind: 'delegation', networkKey: null, days: 30 } as const;

test('the wallet here signs that the worker earns for it, and takes it back; what was taken back is not kept again', async () => {
  const { bench, worker, handlers, dataDir, clock, told } = await open();
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
  // Or that what it earns is paid elsewhere; all of it is for networks to know.
  const elsewhere = new Wallet(`0x${'4d'.repeat(32)}`).address;
  expect(await refusal(handlers['identity.prepare']({ kind: 'payee', networkKey: null, payee: elsewhere.replace('0x', '0X') }))).toBe(
    'WALLET_ADDRESS_INVALID',
  );
  const change = await handlers['identity.prepare']({ kind: 'payee', networkKey: null, payee: elsewhere });
  const shown = await handlers['identity.describe']({ claim: change });
  expect(shown.words).toMatchObject({ key: 'signer.payee', params: { worker, payee: elsewhere, anywhere: 'yes' } });
  await handlers['identity.sign']({ claim: change, seen: shown.seen });
  expect(told.map(({ kind }) => kind)).toEqual(['delegation', 'revocation', 'delegation', 'payee']);
  const nonces = told.map(
    (claim) => (claim.kind === 'payee' ? claim.change : claim.kind === 'revocation' ? claim.revocation : claim.delegation).nonce,
  );
  expect(nonces).toEqual([...new Set(nonces)].sort((a, b) => a - b));
});

test('a new worker key takes the old one’s place once the wallet has signed for it; a crash before that leaves the old one, one after it is made good', async () => {
  const { bench, dataDir, clock } = await open();
  await bench.import({ kind: 'key', key: KEY });
  const rig = () => {
    const identity = presentIdentity(openIdentity(join(dataDir, 'identity.json')));
    const known = identityHandlers({
      ...{ dataDir, wallet: bench.wallet, clock: () => clock.now, tellNetworks: () => undefined },
      get worker() {
        return identity.address;
      },
    });
    const stand = { open: [] as { network: string }[], unsigned: 0, fails: false, noted: 0, told: [] as string[] };
    const handlers = rekeyHandlers({
      ...{ dataDir, identity, wallet: bench.wallet, clock: () => clock.now, log: () => undefined },
      payee: () => new Wallet(KEY).address,
      show: () => known['identity.show']({}),
      ledger: {
        unfinished: () => stand.open as never,
        receiptHead: () => ({ sequence: stand.unsigned, hash: '' }),
        lastBatched: () => 0,
        rekey() {
          if (stand.fails) throw new Error('the disk is full');
        },
      },
      engine: {
        hold: async () => () => undefined,
        started: () => false,
        coordinator: { id: 'local' } as never,
        screen: { touch: () => undefined } as never,
        networks: {
          joined: () => [{ id: 'studio' }],
          apart: (work: () => Promise<unknown>) => work(),
          noteWorker: () => (stand.noted += 1),
          tellWalletSaid: ({ kind }: { kind: string }) => void stand.told.push(kind),
        } as never,
      },
    });
    return { identity, known, handlers, stand };
  };
  const { identity, known, handlers, stand } = rig();
  const from = identity.address;
  const claim = await known['identity.prepare'](delegate);
  if (claim.kind !== 'delegation') throw new Error('that is no delegation');
  await known['identity.sign']({ claim, seen: (await known['identity.describe']({ claim })).seen });

  const plan = await handlers['identity.rekey-plan']({ days: 30 });
  expect(plan).toMatchObject({ from, claims: [{ kind: 'delegation', delegation: { worker: plan.to } }, { kind: 'revocation' }] });
  const rekey = async (by = handlers) => {
    const agreed = [];
    for (const each of plan.claims) agreed.push({ claim: each, seen: (await known['identity.describe']({ claim: each })).seen });
    return by['identity.rekey']({ agreed });
  };
  expect(await refusal(handlers['identity.rekey']({ agreed: [] }))).toBe('REKEY_UNDELEGATED');
  const [delegation] = plan.claims;
  if (delegation?.kind !== 'delegation') throw new Error('no delegation is planned');
  const forged = await Wallet.createRandom().signTypedData(DELEGATION_DOMAIN, DELEGATION_TYPES, delegation.delegation);
  expect(await refusal(handlers['identity.rekey']({ agreed: [{ claim: delegation, signature: forged }] }))).toBe('DELEGATION_INVALID');
  expect(await refusal(handlers['identity.rekey']({ agreed: [{ claim, signature: forged }] }))).toBe('DELEGATION_INVALID');
  stand.open = [{ network: 'studio' }];
  expect(await refusal(rekey())).toBe('REKEY_BUSY');
  stand.open = [];
  stand.unsigned = 2;
  expect(await refusal(rekey())).toBe('REKEY_UNSIGNED');
  expect(identity.address).toBe(from);
  stand.unsigned = 0;
  // After the one step: what came of it is there with the next start, the delegation for the new key too.
  stand.fails = true;
  await expect(rekey()).rejects.toThrow('the disk is full');
  const again = rig();
  expect(again.identity.address).toBe(plan.to);
  const status = await again.known['identity.show']({});
  expect(status).toMatchObject({ worker: plan.to, fault: null, delegation: { delegation: { worker: plan.to } } });
  expect(status.revocations).toMatchObject([{ revocation: { worker: from } }]);
  expect(stand.noted).toBe(1);
  expect(pathBetween(again.identity.successions, from, plan.to)).toHaveLength(1);
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
