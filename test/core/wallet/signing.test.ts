import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Interface, Transaction, verifyTypedData, Wallet, ZeroAddress } from 'ethers';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ANY_NETWORK, type WorkerDelegation } from '../../../core/contract/delegation.ts';
import {
  DELEGATION_DOMAIN,
  DELEGATION_TYPES,
  delegationDigest,
  delegationFault,
  REVOCATION_TYPES,
  signedByWallet,
} from '../../../core/contract/delegation-hash.ts';
import type { ToSign, TransactionToSign } from '../../../core/contract/signing.ts';
import { meaningOf } from '../../../core/wallet/signer/meaning.ts';
import { spend, withLimit } from '../../../core/wallet/signer/spending.ts';
import { openBench, PASSWORD, refusal } from './workbench.ts';

const KEY = `0x${'4c'.repeat(32)}`;
const WALLET = new Wallet(KEY).address;
const RECEIVER = new Wallet(`0x${'4d'.repeat(32)}`).address;
const TOKEN = new Wallet(`0x${'4e'.repeat(32)}`).address;
const NOW = 1_800_000_000;
const erc20 = new Interface([
  'function transfer(address to, uint256 amount)',
  'function approve(address spender, uint256 amount)',
  'function transferFrom(address from, address to, uint256 amount)',
]);
const transfer = (to: string, amount: bigint) => erc20.encodeFunctionData('transfer', [to, amount]);
const native = 'eip155:31337/slip44:60';

function send(change: Partial<TransactionToSign> = {}): ToSign {
  const fees = { gasLimit: '21000', maxFeePerGas: '10', maxPriorityFeePerGas: '1' };
  return { kind: 'transaction', transaction: { chainId: 31_337, nonce: 0, to: RECEIVER, value: '1000', data: '0x', ...fees, ...change } };
}
const delegation: WorkerDelegation = {
  ...{ wallet: WALLET, worker: RECEIVER, networkKey: ANY_NETWORK, scope: 'earn' },
  ...{ notBefore: NOW, expiry: NOW + 86_400, nonce: NOW },
};
const code = (work: () => unknown) => refusal((async () => work())());

describe('what is to be signed', () => {
  it('is a send of the native token or a transfer of a token, and is put into words and money by its bytes', () => {
    expect(meaningOf(send(), WALLET, NOW)).toMatchObject({
      words: { key: 'signer.send-native', params: { to: RECEIVER, chainId: '31337', amount: '0.000000000000001' } },
      spending: { chainId: 31_337, nonce: 0, amounts: [{ asset: native, amount: 211_000n }] },
    });
    expect(meaningOf(send({ to: TOKEN.toLowerCase(), value: '0', data: transfer(RECEIVER, 77n) }), WALLET, NOW)).toMatchObject({
      words: { key: 'signer.send-token', params: { to: RECEIVER, token: TOKEN, units: '77' } },
      spending: {
        amounts: [
          { asset: `eip155:31337/erc20:${TOKEN.toLowerCase()}`, amount: 77n },
          { asset: native, amount: 210_000n },
        ],
      },
    });
  });

  it.each<[string, Partial<TransactionToSign>]>([
    ['an approval', { to: TOKEN, value: '0', data: erc20.encodeFunctionData('approve', [RECEIVER, 1n]) }],
    ['a transfer of somebody else’s', { to: TOKEN, value: '0', data: erc20.encodeFunctionData('transferFrom', [WALLET, RECEIVER, 1n]) }],
    ['a transfer that pays the token', { to: TOKEN, value: '1', data: transfer(RECEIVER, 1n) }],
    ['a transfer with more behind it', { to: TOKEN, value: '0', data: `${transfer(RECEIVER, 1n)}00` }],
    ['a transfer cut short', { to: TOKEN, value: '0', data: transfer(RECEIVER, 1n).slice(0, -2) }],
    [
      'a transfer to an address with something before it',
      { to: TOKEN, value: '0', data: transfer(RECEIVER, 1n).replace('00000', '00001') },
    ],
    ['a transfer of a token to itself', { to: TOKEN, value: '0', data: transfer(TOKEN, 1n) }],
    ['a transfer of nothing', { to: TOKEN, value: '0', data: transfer(RECEIVER, 0n) }],
    ['a transfer to nobody', { to: TOKEN, value: '0', data: transfer(ZeroAddress, 1n) }],
    ['a send of nothing', { value: '0' }],
    ['a send to nobody', { to: ZeroAddress }],
    ['a send to a mistyped address', { to: RECEIVER.replace(/[a-f]/, (letter) => letter.toUpperCase()) }],
    ['a send with some data', { data: '0x00' }],
    ['more gas than a send takes', { gasLimit: '10000001' }],
    ['a tip above the fee', { maxPriorityFeePerGas: '11' }],
  ])('is refused where it is %s', async (_what, change) => {
    expect(await code(() => meaningOf(send(change), WALLET, NOW))).toBe('TRANSACTION_REFUSED');
  });

  it('is, of random calls, only what is exactly a send or a transfer', () => {
    const hex = fc.uint8Array({ maxLength: 120 }).map((bytes) => `0x${Buffer.from(bytes).toString('hex')}`);
    const mutated = fc
      .tuple(fc.nat({ max: 67 }), fc.integer({ min: 0, max: 255 }), fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }))
      .map(([at, byte, amount]) => {
        const bytes = Buffer.from(transfer(RECEIVER, amount).slice(2), 'hex');
        bytes[at] = byte;
        return `0x${bytes.toString('hex')}`;
      });
    const prefixed = hex.map((data) => `0xa9059cbb${data.slice(2)}`);
    fc.assert(
      fc.property(fc.oneof(hex, mutated, prefixed), fc.constantFrom('0', '1', '1000'), (data, value) => {
        let meaning: ReturnType<typeof meaningOf>;
        try {
          meaning = meaningOf(send({ to: TOKEN, data, value }), WALLET, NOW);
        } catch (thrown) {
          expect(thrown).toMatchObject({ code: 'TRANSACTION_REFUSED' });
          return;
        }
        const { key, params } = meaning.words;
        if (key === 'signer.send-native') {
          expect([data, value === '0']).toEqual(['0x', false]);
        } else {
          expect(key).toBe('signer.send-token');
          expect(value).toBe('0');
          // What the words say is all that there is.
          expect(data).toBe(transfer(String(params.to), BigInt(String(params.units))));
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is seen as the same whatever its fees and nonce are, and as another with another receiver or amount', () => {
    const { seen } = meaningOf(send(), WALLET, NOW);
    expect(meaningOf(send({ nonce: 9, maxFeePerGas: '20' }), WALLET, NOW).seen).toBe(seen);
    for (const change of [{ to: TOKEN }, { value: '1001' }, { chainId: 1 }])
      expect(meaningOf(send(change), WALLET, NOW).seen).not.toBe(seen);
  });

  it.each<[string, Partial<WorkerDelegation>]>([
    ['in the name of another wallet', { wallet: RECEIVER }],
    ['over already', { expiry: NOW }],
    ['over before it begins', { notBefore: NOW + 86_400 }],
    ['for longer than a wallet binds itself', { expiry: NOW + 86_400 * 4000 }],
    ['for nobody', { worker: ZeroAddress }],
  ])('is no delegation %s', async (_what, change) => {
    const what: ToSign = { kind: 'delegation', delegation: { ...delegation, ...change } };
    expect(await code(() => meaningOf(what, WALLET, NOW))).toBe('TRANSACTION_REFUSED');
  });
});

describe('what may be spent', () => {
  const spending = (nonce: number, amount: bigint) => ({ chainId: 31_337, nonce, amounts: [{ asset: native, amount }] });

  it('is never more than the limit within any 24 hours, whatever is signed in whatever order', () => {
    const step = fc.record({ nonce: fc.nat({ max: 6 }), amount: fc.bigInt({ min: 1n, max: 60n }), ms: fc.nat({ max: 40_000_000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        let state = withLimit({ limits: {}, signed: [] }, native, '100');
        let now = 0;
        const signed: { at: number; nonce: number; amount: bigint }[] = [];
        for (const { nonce, amount, ms } of steps) {
          now += ms;
          try {
            state = spend(state, spending(nonce, amount), now);
            signed.push({ at: now, nonce, amount });
          } catch (thrown) {
            expect(thrown).toMatchObject({ code: 'SPEND_LIMIT_REACHED' });
          }
          const mostOf = new Map<number, bigint>();
          for (const each of signed) {
            if (now - each.at >= 86_400_000) continue;
            const most = mostOf.get(each.nonce) ?? 0n;
            mostOf.set(each.nonce, each.amount > most ? each.amount : most);
          }
          expect([...mostOf.values()].reduce((sum, each) => sum + each, 0n)).toBeLessThanOrEqual(100n);
        }
      }),
      { numRuns: 300 },
    );
  });
});

describe('the signer', () => {
  it('signs what was described and confirmed, within the limit that the password set, and keeps count over a lock', async () => {
    const bench = await openBench();
    await bench.import({ kind: 'key', key: KEY });
    const { seen, words } = await bench.wallet.describe(send());
    expect(words.params.to).toBe(RECEIVER);
    expect(await refusal(bench.wallet.sign(send(), seen))).toBe('SPEND_LIMIT_REACHED');
    const limit = async (perDay: string, password = PASSWORD) =>
      bench.wallet.limit(await bench.sealed('limit', { password, asset: native, perDay }));
    expect(await refusal(limit('1', 'not the password'))).toBe('WALLET_PASSWORD_WRONG');
    await limit('300000');
    expect(await refusal(bench.wallet.sign(send({ to: TOKEN }), seen))).toBe('TRANSACTION_REFUSED');
    const { signed } = await bench.wallet.sign(send(), seen);
    const sent = Transaction.from(signed);
    expect([sent.from, sent.to, sent.value, sent.chainId, sent.type]).toEqual([WALLET, RECEIVER, 1000n, 31_337n, 2]);
    // The same nonce again counts once; another one is too much.
    await bench.wallet.sign(send({ maxFeePerGas: '12' }), seen);
    expect(await refusal(bench.wallet.sign(send({ nonce: 1 }), seen))).toBe('SPEND_LIMIT_REACHED');
    await bench.wallet.lock();
    expect(await refusal(bench.wallet.sign(send(), seen))).toBe('WALLET_LOCKED');
    await bench.unlock();
    expect(await refusal(bench.wallet.sign(send({ nonce: 1 }), seen))).toBe('SPEND_LIMIT_REACHED');

    // Whoever writes a higher limit into the file has nothing.
    const path = join(bench.folder, readdirSync(bench.folder).find((name) => name.startsWith('spending-')) ?? '');
    writeFileSync(path, readFileSync(path, 'utf8').replaceAll('300000', '900000'));
    expect(await refusal(bench.wallet.sign(send({ nonce: 1 }), seen))).toBe('SPENDING_INVALID');

    const notBefore = Math.floor(Date.now() / 1000);
    const what: ToSign = { kind: 'delegation', delegation: { ...delegation, notBefore, expiry: notBefore + 86_400 } };
    const told = await bench.wallet.describe(what);
    expect(told.words).toMatchObject({ key: 'signer.delegate', params: { worker: RECEIVER, wallet: WALLET } });
    const answer = await bench.wallet.sign(what, told.seen);
    expect(verifyTypedData(DELEGATION_DOMAIN, DELEGATION_TYPES, what.delegation, answer.signed)).toBe(WALLET);
    expect(signedByWallet(delegationDigest(what.delegation), answer.signed, WALLET)).toBe(true);
    expect(signedByWallet(delegationDigest({ ...what.delegation, worker: TOKEN }), answer.signed, WALLET)).toBe(false);
    const back: ToSign = { kind: 'revocation', revocation: { wallet: WALLET, worker: RECEIVER, nonce: NOW } };
    const revoked = await bench.wallet.sign(back, (await bench.wallet.describe(back)).seen);
    expect(verifyTypedData(DELEGATION_DOMAIN, REVOCATION_TYPES, back.revocation, revoked.signed)).toBe(WALLET);
  });

  it('that watches only, or is not there, signs nothing', async () => {
    const bench = await openBench();
    expect(await refusal(bench.wallet.describe(send()))).toBe('WALLET_MISSING');
    bench.wallet.watch(RECEIVER);
    expect(await refusal(bench.wallet.describe(send()))).toBe('WALLET_MISSING');
  });
});

it.each([
  ['lets its worker earn on any network', {}, null],
  ['lets it earn on the network of its key', { networkKey: TOKEN.toLowerCase() }, null],
  ['lets no other worker earn', { worker: TOKEN }, 'other-worker'],
  ['counts on no other network', { networkKey: RECEIVER }, 'other-network'],
  ['does not count before its time', { notBefore: NOW + 1 }, 'too-early'],
  ['does not count after its time', { expiry: NOW }, 'expired'],
  ['does not count once it was taken back', { nonce: 5 }, 'revoked'],
])('a delegation %s', (_what, change, fault) => {
  const asked = { worker: RECEIVER, networkKey: TOKEN, now: NOW, revokedUpTo: 5 };
  expect(delegationFault({ ...delegation, ...change }, asked)).toBe(fault);
});
