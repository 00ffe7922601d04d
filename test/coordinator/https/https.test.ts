import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request as openRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { createUser } from '@nats-io/jwt';
import { type HDNodeWallet, Wallet } from 'ethers';
import fc from 'fast-check';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { openBlobs } from '../../../coordinator/blobs.ts';
import { createHolding } from '../../../coordinator/holding.ts';
import { blobRoute, readRange } from '../../../coordinator/https/blobs.ts';
import { claimsRoute } from '../../../coordinator/https/claims.ts';
import { type JoiningOptions, joiningRoutes, workerOf } from '../../../coordinator/https/joining.ts';
import { pageRoute } from '../../../coordinator/https/page.ts';
import { addressGroup, createRates } from '../../../coordinator/https/rates.ts';
import { rekeyingRoute } from '../../../coordinator/https/rekeying.ts';
import { type HttpsServer, serveHttps } from '../../../coordinator/https/server.ts';
import { createTokens } from '../../../coordinator/https/tokens.ts';
import { openUploads, type Uploads } from '../../../coordinator/https/uploads.ts';
import { delegatedPayee } from '../../../coordinator/joining/delegations.ts';
import { invite } from '../../../coordinator/joining/invitations.ts';
import { withPayouts } from '../../../coordinator/joining/paid-service.ts';
import { createMetrics } from '../../../coordinator/metrics/metrics.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { AttemptRecord, ShardRecord } from '../../../coordinator/store.ts';
import { openAuthority } from '../../../coordinator/tls/authority.ts';
import { ANY_NETWORK, type WorkerDelegation } from '../../../core/contract/delegation.ts';
import { DELEGATION_DOMAIN, DELEGATION_TYPES, PAYEE_TYPES, REVOCATION_TYPES } from '../../../core/contract/delegation-hash.ts';
import {
  JoinReply,
  type JoinRequest,
  joinText,
  NetworkTerms,
  parseJoinLink,
  rekeyText,
  renewText,
} from '../../../core/contract/joining.ts';
import type { Succession } from '../../../core/contract/succession.ts';
import { successionDigest } from '../../../core/contract/succession-hash.ts';
import { fakeWorkerService } from '../../fakes/worker-service.ts';

const root = mkdtempSync(join(tmpdir(), 'hearthlend-https-'));
const authority = openAuthority(join(root, 'tls'), 'studio', ['127.0.0.1'], Date.now());
const { store } = openSqliteStore(join(root, 'coordinator.db'), 'studio');
const blobs = openBlobs(join(root, 'blobs'));
const tokens = createTokens(randomBytes(32));
const metrics = createMetrics();
const logged: string[] = [];
const terms = NetworkTerms.parse({
  id: 'studio',
  operator: '<b>Studio & "Sons"</b>',
  contact: 'ops@studio.example',
  rules: 'Be kind.\n<script>alert(1)</script>',
  coordinator: `0x${'c'.repeat(40)}`,
  asset: 'eip155:1/slip44:60',
  symbol: 'ETH',
  decimals: 18,
  prices: [{ unit: 'token', perUnit: '1500000000000', note: 'any model' }],
  categories: [{ id: 'render', title: 'Rendering' }],
  isolation: ['os'],
  holdBackMs: 3_600_000,
  payeeDelayMs: 86_400_000,
  settlement: null,
});
const wallet = Wallet.createRandom();
let now = Date.now();
let server: HttpsServer;
let uploads: Uploads;
let readable = new Set<string>();
let attempts: AttemptRecord[] = [];
let outputBytes = 1_000_000;

beforeAll(async () => {
  const { service } = fakeWorkerService([]);
  uploads = openUploads({
    dir: join(root, 'uploads'),
    blobs,
    holding: createHolding(store, blobs),
    store: {
      openAttempts: async () => attempts,
      shard: async () => ({ shard: { limits: { outputBytes } } }) as ShardRecord,
      isHolder: store.isHolder,
    },
    log: () => undefined,
  });
  const joining: JoiningOptions = {
    terms,
    version: '0.1.0',
    members: store,
    service,
    mint: async (nkey, expiresAt) => `jwt of ${nkey} until ${expiresAt}`,
    jwtMs: 86_400_000,
    servers: () => ['tls://127.0.0.1:1'],
    https: () => ['https://127.0.0.1:1'],
    ca: authority.ca,
    clock: () => now,
  };
  server = await serveHttps({
    host: '127.0.0.1',
    port: 0,
    certified: authority.server(),
    log: (_level, event) => logged.push(event),
    metrics,
    routes: [
      ...joiningRoutes(joining),
      rekeyingRoute(joining),
      blobRoute({
        blobs,
        uploads,
        service: { mayRead: async (_worker, digest) => readable.has(digest) },
        tokens,
        requireMember: async () => undefined,
        clock: () => now,
      }),
      claimsRoute({ terms, payouts: store, contractAccepts: null, clock: () => now }),
      pageRoute(terms),
    ],
  });
});
afterAll(async () => {
  uploads.close();
  await server.close();
  await store.close();
  rmSync(root, { recursive: true, force: true });
});
beforeEach(() => {
  now = Date.now();
  readable = new Set();
  attempts = [];
  outputBytes = 1_000_000;
});

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
  json(): { error?: { code: string; params: Record<string, unknown> } } & Record<string, unknown>;
}

function ask(
  method: string,
  path: string,
  { body, headers = {} }: { body?: string | Uint8Array; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const request = openRequest({
      host: '127.0.0.1',
      port: server.port,
      method,
      path,
      ca: authority.ca,
      agent: false,
      headers: { ...length, ...headers },
    });
    request.on('error', reject);
    request.on('response', async (response) => {
      const chunks: Buffer[] = [];
      for await (const chunk of response) chunks.push(chunk as Buffer);
      const whole = Buffer.concat(chunks);
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: whole, json: () => JSON.parse(whole.toString()) });
    });
    request.end(body);
  });
}

const newInvite = async (lastingMs = 60_000) => {
  const { link } = await invite(store, { at: `127.0.0.1:${server.port}`, fingerprint: authority.fingerprint, now, lastingMs });
  return parseJoinLink(link)?.secret as string;
};
async function joinRequest(changes: Partial<JoinRequest> = {}, signer = wallet): Promise<JoinRequest> {
  const nkey = changes.nkey ?? createUser().getPublicKey();
  const payee = changes.payee ?? signer.address;
  const signature = await signer.signMessage(joinText('studio', nkey, payee));
  return { secret: await newInvite(), worker: signer.address, signature, version: '0.1.9', nkey, payee, ...changes };
}
const join_ = async (request: unknown) => ask('POST', '/v1/join', { body: JSON.stringify(request) });
const code = (answer: Answer) => [answer.status, answer.json().error?.code];

test('a machine joins by an invitation, and asks again where the answer was lost; nobody else can use it', async () => {
  const request = await joinRequest();
  const answer = await join_(request);
  expect(answer.status).toBe(200);
  const reply = JoinReply.parse(answer.json());
  expect(reply).toMatchObject({ terms, jwt: `jwt of ${request.nkey} until ${reply.expiresAt}`, now, ca: authority.ca });
  expect((await join_(request)).status).toBe(200);
  expect(code(await join_(await joinRequest({ secret: request.secret }, Wallet.createRandom())))).toEqual([403, 'INVITE_USED']);
  expect(await store.member(request.nkey)).toMatchObject({ worker: wallet.address, payee: wallet.address, revokedAt: null });
});

test('a wallet’s delegation says whom to pay; one that is not for this worker, network and time, or not signed by the wallet, uses no invitation up', async () => {
  const payer = Wallet.createRandom();
  const own = Wallet.createRandom() as unknown as typeof wallet;
  const seconds = Math.floor(now / 1000);
  const delegation: WorkerDelegation = {
    ...{ wallet: payer.address, worker: own.address, networkKey: terms.coordinator, scope: 'earn' },
    ...{ notBefore: seconds, expiry: seconds + 60, nonce: 1 },
  };
  const signed = async (change: Partial<WorkerDelegation> = {}, by: Pick<Wallet, 'signTypedData'> = payer) => {
    const said = { ...delegation, ...change };
    return { delegation: said, signature: await by.signTypedData(DELEGATION_DOMAIN, DELEGATION_TYPES, said) };
  };
  const request = await joinRequest({ payee: payer.address }, own);
  const wrong = [
    await signed({ worker: wallet.address }),
    await signed({ networkKey: wallet.address }),
    await signed({ notBefore: seconds + 1 }),
    await signed({ expiry: seconds }),
    await signed({ wallet: wallet.address }, wallet),
    await signed({}, wallet),
    { ...(await signed()), delegation: { ...delegation, nonce: 2 } },
  ];
  for (const delegated of wrong) {
    const refused = code(await join_({ ...request, delegation: delegated }));
    expect(refused).toEqual([403, expect.stringMatching(/^NETWORK_(DELEGATION_INVALID|WALLET_UNCHECKED)$/)]);
  }
  expect((await join_({ ...request, delegation: await signed() })).status).toBe(200);
  expect(await store.member(request.nkey)).toMatchObject({ worker: own.address, payee: payer.address });
});

test('what a wallet says of its worker counts whoever brings it: work stops at once, a new payee waits and can be taken back, and nobody else can say it', async () => {
  const owner = Wallet.createRandom();
  const elsewhere = Wallet.createRandom();
  const own = Wallet.createRandom() as unknown as typeof wallet;
  const request = await joinRequest({ payee: owner.address }, own);
  expect((await join_(request)).status).toBe(200);
  const say = (claim: unknown) => ask('POST', '/v1/claims', { body: JSON.stringify({ claim }) });
  const change = async (payee: string, nonce: number, by: Pick<Wallet, 'signTypedData'> = owner, wallet_ = owner.address) => {
    const said = { wallet: wallet_, worker: own.address.toLowerCase(), networkKey: terms.coordinator, payee, nonce };
    return { kind: 'payee', change: said, signature: await by.signTypedData(DELEGATION_DOMAIN, PAYEE_TYPES, said) };
  };
  // By the worker's own key, by the new payee, or in the name of another wallet: no.
  for (const [by, name] of [
    [own, owner],
    [elsewhere, owner],
    [elsewhere, elsewhere],
  ] as const) {
    expect((await say(await change(elsewhere.address, 1, by, name.address))).status).toBe(403);
  }
  // Whoever has the worker's key and an invitation is not paid elsewhere either.
  const again = await joinRequest({ payee: elsewhere.address }, own);
  expect(code(await join_(again))).toEqual([403, 'NETWORK_PAYEE_FIXED']);
  expect((await join_(again)).json().error?.params).toEqual({ payee: owner.address });

  const waits = (await say(await change(elsewhere.address, 2))).json();
  expect(waits).toMatchObject({ payee: owner.address, wallet: owner.address, next: { payee: elsewhere.address, at: now + 86_400_000 } });
  expect(await workerOf(store, request.nkey, now + 86_399_999)).toMatchObject({ payee: owner.address });
  expect(await workerOf(store, request.nkey, now + 86_400_000)).toMatchObject({ payee: elsewhere.address, former: [owner.address] });
  expect((await say(await change(owner.address, 3))).json()).toMatchObject({ payee: owner.address, next: null });
  expect(code(await say(await change(elsewhere.address, 2)))).toEqual([403, 'NETWORK_DELEGATION_INVALID']);

  const revocation = { wallet: owner.address, worker: own.address, nonce: 9 };
  const signature = await owner.signTypedData(DELEGATION_DOMAIN, REVOCATION_TYPES, revocation);
  expect((await say({ kind: 'revocation', revocation, signature })).json()).toMatchObject({ stopped: 'revoked' });
  const stopped = await workerOf(store, request.nkey, now);
  const { service } = fakeWorkerService([]);
  const lease = await withPayouts(service, store).lease(stopped, { isolation: 'os', warmModels: [], memoryBytes: 1, practice: false });
  expect(lease).toMatchObject({ type: 'no-work', reason: { key: 'no-work.delegation-revoked' } });
  const stranger = { ...revocation, worker: Wallet.createRandom().address };
  const strangers = await owner.signTypedData(DELEGATION_DOMAIN, REVOCATION_TYPES, stranger);
  expect(code(await say({ kind: 'revocation', revocation: stranger, signature: strangers }))).toEqual([403, 'NETWORK_MEMBER_UNKNOWN']);
});

test('a wallet that is a contract is asked whether it signed, one that is a key is not', async () => {
  const delegation: WorkerDelegation = {
    ...{ wallet: wallet.address, worker: wallet.address, networkKey: ANY_NETWORK, scope: 'earn', notBefore: 0, expiry: 2 ** 40, nonce: 1 },
  };
  const asked = { worker: wallet.address, payee: wallet.address, networkKey: terms.coordinator, now };
  const says = (answer: boolean | null, signature: string) => delegatedPayee({ delegation, signature }, asked, async () => answer);
  const signature = await wallet.signTypedData(DELEGATION_DOMAIN, DELEGATION_TYPES, delegation);
  expect(await says(true, '0x00')).toBe(wallet.address);
  expect(await says(null, signature)).toBe(wallet.address);
  // Of a wallet with code its old key's signature says nothing.
  await expect(says(false, signature)).rejects.toMatchObject({ code: 'NETWORK_DELEGATION_INVALID' });
  await expect(says(null, '0x00')).rejects.toMatchObject({ code: 'NETWORK_DELEGATION_INVALID' });
});

test('the secret of an invitation is nowhere on the disk: what is kept is its hash', async () => {
  const secret = await newInvite();
  const kept = ['', '-wal'].map((end) => readFileSync(join(root, `coordinator.db${end}`)).toString('latin1')).join('');
  expect(kept).not.toContain(secret);
  expect(kept).toContain(createHash('sha256').update(secret).digest('hex'));
});

test('an invitation that is forged, past its time or for another network is refused by name, and uses none up', async () => {
  expect(code(await join_(await joinRequest({ secret: randomBytes(32).toString('base64url') })))).toEqual([403, 'INVITE_UNKNOWN']);
  const late = await joinRequest({ secret: await newInvite(60_000) });
  now += 60_000;
  expect(code(await join_(late))).toEqual([403, 'INVITE_EXPIRED']);
  now -= 60_000;
  const wrong = await joinRequest();
  const other = await wallet.signMessage(joinText('other-network', wrong.nkey, wrong.payee));
  expect(code(await join_({ ...wrong, signature: other }))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);
  expect(code(await join_({ ...wrong, payee: Wallet.createRandom().address }))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);
  expect(code(await join_({ ...wrong, worker: Wallet.createRandom().address }))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);
  expect(code(await join_({ ...wrong, nkey: `U${'A'.repeat(55)}` }))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);
  expect(code(await join_({ ...wrong, version: '7.1.0' }))).toEqual([400, 'NETWORK_VERSION']);
  expect((await join_(wrong)).status).toBe(200);
});

test('a worker that joins again has its new key alone; one that was revoked stays out, also by an invitation', async () => {
  const own = Wallet.createRandom();
  const first = await joinRequest({}, own as unknown as typeof wallet);
  const second = await joinRequest({}, own as unknown as typeof wallet);
  await join_(first);
  await join_(second);
  expect(await store.member(first.nkey)).toMatchObject({ revokedWhy: 'replaced' });
  expect(await store.nkeyOf(own.address)).toBe(second.nkey);
  expect(await store.revoke(own.address, now)).toBe(true);
  expect(await store.revoke(own.address, now)).toBe(false);
  expect(code(await join_(second))).toEqual([403, 'NETWORK_REVOKED']);
  expect(code(await join_(await joinRequest({}, own as unknown as typeof wallet)))).toEqual([403, 'NETWORK_REVOKED']);
  expect((await store.revokedSince(now)).map(({ nkey }) => nkey)).toContain(second.nkey);
});

test('a machine goes on under a new worker key by the old one’s word for it: its payee stays, its offences too, and the old key is out', async () => {
  const keys = [Wallet.createRandom(), Wallet.createRandom(), Wallet.createRandom()] as [HDNodeWallet, HDNodeWallet, HDNodeWallet];
  const [first, second, third] = keys;
  const user = createUser();
  const payee = Wallet.createRandom().address;
  await join_(await joinRequest({ nkey: user.getPublicKey(), payee }, first));
  await store.recordAudit({
    ...{ shardId: 'rekeyed', attempt: 1, worker: first.address, at: now, outcome: 'bad', means: 'reference', distance: 1, detail: '' },
  });
  const word = async (from: HDNodeWallet, to: HDNodeWallet): Promise<Succession> => ({
    ...{ from: from.address, to: to.address },
    signature: from.signingKey.sign(successionDigest({ from: from.address, to: to.address })).serialized,
  });
  const rekey = async (to: HDNodeWallet, successions: Succession[], changes: { by?: typeof user; payee?: string; nkey?: string } = {}) => {
    const nkey = changes.nkey ?? createUser().getPublicKey();
    const named = changes.payee ?? payee;
    const successor = { nkey, worker: to.address, payee: named, version: '0.1.0' };
    const signed = { ...successor, signature: await to.signMessage(joinText('studio', nkey, named)) };
    const request = { nkey: user.getPublicKey(), at: now, successions, successor: signed };
    const signature = Buffer.from((changes.by ?? user).sign(Buffer.from(rekeyText('studio', request)))).toString('base64');
    return ask('POST', '/v1/rekey', { body: JSON.stringify({ ...request, signature }) });
  };
  // Neither the word of the old key nor the key that connects is enough alone, and no pay is turned elsewhere.
  expect(code(await rekey(second, [await word(first, second)], { by: createUser() }))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);
  expect(code(await rekey(second, [await word(second, third)]))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);
  const forged = { ...(await word(first, second)), signature: (await word(second, first)).signature };
  expect(code(await rekey(second, [forged]))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);
  expect(code(await rekey(second, [await word(first, second)], { payee: second.address }))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);

  const nkey = createUser().getPublicKey();
  const path = [await word(first, second), await word(second, third)];
  for (const _again of [1, 2]) expect(JoinReply.parse((await rekey(third, path, { nkey })).json()).jwt).toContain(nkey);
  expect(await store.member(nkey)).toMatchObject({ worker: third.address, payee, revokedAt: null });
  expect(await store.member(user.getPublicKey())).toMatchObject({ revokedWhy: 'replaced' });
  expect(await store.nkeyInPlaceOf(first.address)).toBe(nkey);
  expect(await store.formerWorkers(third.address)).toEqual([{ worker: first.address, payee }]);
  expect(store.standing(third.address)).toMatchObject({ bad: 1, validInARow: 0 });
  expect(code(await rekey(second, [await word(first, second)]))).toEqual([403, 'NETWORK_REVOKED']);
  expect(code(await join_(await joinRequest({}, first)))).toEqual([403, 'NETWORK_REVOKED']);
});

test('access is renewed for the key that signs, by a clock that is right to ten minutes', async () => {
  const user = createUser();
  const nkey = user.getPublicKey();
  await join_(await joinRequest({ nkey }, Wallet.createRandom() as unknown as typeof wallet));
  const renew = (at: number, by = user) => {
    const signature = Buffer.from(by.sign(Buffer.from(renewText('studio', { nkey, at })))).toString('base64');
    return ask('POST', '/v1/renew', { body: JSON.stringify({ nkey, at, signature }) });
  };
  expect(JoinReply.parse((await renew(now)).json()).jwt).toContain(nkey);
  expect((await renew(now + 9 * 60_000)).status).toBe(200);
  const skewed = await renew(now - 3_600_000);
  expect(code(skewed)).toEqual([400, 'NETWORK_CLOCK_SKEW']);
  expect(skewed.json().error?.params.seconds).toBeCloseTo(3600, -1);
  expect(code(await renew(now, createUser()))).toEqual([403, 'NETWORK_SIGNATURE_INVALID']);
  const stranger = createUser();
  const at = now;
  const signature = Buffer.from(stranger.sign(Buffer.from(renewText('studio', { nkey: stranger.getPublicKey(), at })))).toString('base64');
  expect(code(await ask('POST', '/v1/renew', { body: JSON.stringify({ nkey: stranger.getPublicKey(), at, signature }) }))).toEqual([
    403,
    'NETWORK_MEMBER_UNKNOWN',
  ]);
});

const worker = { address: wallet.address, payee: wallet.address };
const bearer = (token = tokens.issue(worker, now + 60_000)) => ({ authorization: `Bearer ${token}` });
const put = (bytes: Uint8Array, digest = createHash('sha256').update(bytes).digest('hex'), headers = bearer()) =>
  ask('PUT', `/v1/blobs/${digest}`, { body: bytes, headers });
const attempt = { worker: wallet.address, state: 'leased', shardId: 's', attempt: 1 } as AttemptRecord;

test('a worker reads what its leases name, whole or from where it broke off, and nothing else', async () => {
  const bytes = randomBytes(100_000);
  const { digest } = await blobs.putBytes(bytes);
  expect(code(await ask('GET', `/v1/blobs/${digest}`, { headers: bearer() }))).toEqual([403, 'BLOB_REFUSED']);
  readable.add(digest);
  const whole = await ask('GET', `/v1/blobs/${digest}`, { headers: bearer() });
  expect([whole.status, whole.headers['accept-ranges'], whole.body.equals(bytes)]).toEqual([200, 'bytes', true]);
  const rest = await ask('GET', `/v1/blobs/${digest}`, { headers: { ...bearer(), range: 'bytes=99990-' } });
  expect([rest.status, rest.headers['content-range']]).toEqual([206, 'bytes 99990-99999/100000']);
  expect(rest.body.equals(bytes.subarray(99_990))).toBe(true);
  const none = await ask('GET', `/v1/blobs/${digest}`, { headers: { ...bearer(), range: 'bytes=100000-' } });
  expect([none.status, none.headers['content-range']]).toEqual([416, 'bytes */100000']);
  const head = await ask('HEAD', `/v1/blobs/${digest}`, { headers: bearer() });
  expect([head.status, head.headers['content-length'], head.body.byteLength]).toEqual([200, '100000', 0]);
  const gone = '0'.repeat(64);
  readable.add(gone);
  expect(code(await ask('GET', `/v1/blobs/${gone}`, { headers: bearer() }))).toEqual([404, 'BLOB_MISSING']);
  for (const path of [
    '/v1/blobs/',
    '/v1/blobs/../coordinator.db',
    '/v1/blobs/%2e%2e%2fcoordinator.db',
    `/v1/blobs/${digest.toUpperCase()}`,
  ]) {
    expect([path, (await ask('GET', path, { headers: bearer() })).status]).toEqual([path, path.includes('..') ? 404 : 400]);
  }
});

test('a token is for one worker and its time, and nobody makes one up', async () => {
  const bytes = randomBytes(10);
  const { digest } = await blobs.putBytes(bytes);
  readable.add(digest);
  const get = (token: string) => ask('GET', `/v1/blobs/${digest}`, { headers: { authorization: `Bearer ${token}` } });
  const token = tokens.issue(worker, now + 1000);
  expect((await get(token)).status).toBe(200);
  const forged = Buffer.from(JSON.stringify({ worker: wallet.address, payee: wallet.address, expiresAt: now + 1e9 })).toString('base64url');
  for (const bad of [
    `${forged}.${token.split('.')[1]}`,
    `${token}x`,
    token.slice(0, -4),
    '',
    '.',
    'x.y',
    `${token}.${token}`,
    createTokens(randomBytes(32)).issue(worker, now + 1000),
  ]) {
    expect([bad, (await get(bad)).status]).toEqual([bad, 403]);
  }
  expect((await ask('GET', `/v1/blobs/${digest}`)).status).toBe(403);
  now += 1000;
  expect(code(await get(token))).toEqual([403, 'NETWORK_MEMBER_UNKNOWN']);
});

test('outputs are taken from who has a lease for them, as large as it allows and as many as it has, and are what their name says', async () => {
  const bytes = randomBytes(5000);
  const digest = createHash('sha256').update(bytes).digest('hex');
  expect(code(await put(bytes))).toEqual([403, 'BLOB_REFUSED']);
  attempts = [{ ...attempt, worker: Wallet.createRandom().address }];
  expect(code(await put(bytes))).toEqual([403, 'BLOB_REFUSED']);
  attempts = [attempt];
  expect(code(await put(bytes, '1'.repeat(64)))).toEqual([403, 'DIGEST_MISMATCH']);
  outputBytes = 4999;
  expect(code(await put(bytes))).toEqual([403, 'BLOB_REFUSED']);
  outputBytes = 5000;
  expect((await put(bytes)).status).toBe(201);
  expect((await put(bytes)).status).toBe(201);
  expect(code(await put(randomBytes(5000)))).toEqual([403, 'BLOB_REFUSED']);
  expect(await uploads.take(worker, digest)).toEqual(bytes);
  await expect(uploads.take({ ...worker, address: Wallet.createRandom().address }, digest)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
  uploads.done(worker, digest);
  await expect.poll(() => uploads.take(worker, digest).catch((error) => error.code)).toBe('BLOB_MISSING');
  await expect.poll(() => blobs.path(digest).catch((error) => error.code)).toBe('BLOB_MISSING');
});

test('nonsense over HTTP is refused, bounded and survived', async () => {
  for (const body of ['', '{', '[]', '"x"', '{"secret":1}', JSON.stringify({ secret: 'x'.repeat(43) }), '\u0000']) {
    expect([body, ...code(await ask('POST', '/v1/join', { body }))]).toEqual([body, 400, 'NETWORK_REQUEST_INVALID']);
  }
  expect(code(await ask('POST', '/v1/join', { body: JSON.stringify({ pad: 'x'.repeat(20_000) }) }))).toEqual([
    400,
    'NETWORK_REQUEST_INVALID',
  ]);
  expect((await ask('DELETE', '/v1/join')).headers.allow).toBe('POST');
  expect((await ask('GET', '/v1/join')).status).toBe(405);
  expect((await ask('GET', '/etc/passwd')).status).toBe(404);
  expect((await ask('PUT', `/v1/blobs/${'1'.repeat(64)}`, { headers: { ...bearer(), 'transfer-encoding': 'chunked' } })).status).toBe(400);
  const raw = (text: string) =>
    new Promise<string>((resolve) => {
      let heard = '';
      const socket = connect({ host: '127.0.0.1', port: server.port, ca: authority.ca }, () => socket.write(text));
      socket.on('data', (chunk) => {
        heard += chunk;
      });
      socket.on('error', () => undefined);
      socket.on('close', () => resolve(heard));
    });
  expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1.1 400/);
  expect(await raw(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'y'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1.1 4/);
  expect(await raw('POST /v1/join HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n')).toMatch(
    /^HTTP\/1.1 400/,
  );
  expect((await ask('GET', '/v1/terms')).json()).toEqual(terms);
});

test('who says nothing, stops in the middle or never reads is closed, and one address has so many connections', async () => {
  const bytes = randomBytes(20_000_000);
  const { digest } = await blobs.putBytes(bytes);
  readable.add(digest);
  const counted = createMetrics();
  const bounded = await serveHttps({
    ...{ host: '127.0.0.1', port: 0, certified: authority.server(), log: () => undefined, metrics: counted },
    limits: { silentMs: 400, headersMs: 400, checkMs: 100, connectionsPerAddress: 4 },
    routes: [
      blobRoute({
        ...{ blobs, uploads, tokens, requireMember: async () => undefined, clock: () => now },
        service: { mayRead: async () => true },
      }),
      pageRoute(terms),
    ],
  });
  /** Sends something and reads nothing; what it meets shows at the server. */
  const sockets = [
    '',
    'GET / HTTP/1.1\r\nHost:',
    `PUT /v1/blobs/${digest} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n12`,
    `GET /v1/blobs/${digest} HTTP/1.1\r\nHost: x\r\nAuthorization: ${bearer().authorization}\r\n\r\n`,
  ].map((text) => {
    const socket = connect({ host: '127.0.0.1', port: bounded.port, ca: authority.ca }, () => socket.write(text));
    socket.on('error', () => undefined);
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, 'secureConnect')));
  await expect.poll(() => counted.text(), { timeout: 20_000 }).toMatch(/^hearthlend_https_connections 0$/m);
  for (const socket of sockets) socket.destroy();
  const open = Array.from({ length: 6 }, () => {
    const socket = connect({ host: '127.0.0.1', port: bounded.port, ca: authority.ca });
    return new Promise<string>((resolve) => {
      socket.once('secureConnect', () => resolve('in'));
      socket.on('error', () => resolve('out'));
      socket.once('close', () => resolve('out'));
    });
  });
  expect((await Promise.all(open)).filter((outcome) => outcome === 'in').length).toBeLessThanOrEqual(4);
  await bounded.close();
});

test('who asks too often is told to wait, and others are not', () => {
  const allowed = createRates({ atOnce: 3, perSecond: 1 });
  expect([1, 2, 3, 4].map(() => allowed('a', 0))).toEqual([true, true, true, false]);
  expect(allowed('b', 0)).toBe(true);
  expect([allowed('a', 999), allowed('a', 1000), allowed('a', 1001)]).toEqual([false, true, false]);
  for (let address = 0; address < 20_000; address += 1) allowed(`x${address}`, 2000);
  expect(allowed('a', 2000)).toBe(true);
});

test('one machine’s many IPv6 addresses count as one', () => {
  expect(addressGroup('2001:db8:1:2:aaaa::1')).toBe(addressGroup('2001:db8:1:2::ffff'));
  expect(addressGroup('2001:db8:1:2::1')).not.toBe(addressGroup('2001:db8:1:3::1'));
  expect(addressGroup('::ffff:10.0.0.1')).toBe('10.0.0.1');
  expect(addressGroup('::1')).toBe('0:0:0:0');
});

test('a range is within its file, or none', () => {
  fc.assert(
    fc.property(fc.nat(1000), fc.option(fc.nat(1200)), fc.option(fc.nat(1200)), (size, first, last) => {
      const range = readRange(`bytes=${first ?? ''}-${last ?? ''}`, size);
      if (range === null) return;
      expect(range.from).toBeGreaterThanOrEqual(0);
      expect(range.from).toBeLessThan(range.to);
      expect(range.to).toBeLessThanOrEqual(size);
    }),
  );
  expect([
    readRange(undefined, 0),
    readRange('bytes=0-0', 5),
    readRange('bytes=-2', 5),
    readRange('bytes=2-1', 5),
    readRange('bytes=0-1,3-4', 5),
  ]).toEqual([{ from: 0, to: 0 }, { from: 0, to: 1 }, { from: 3, to: 5 }, null, null]);
});

test('a browser is shown who runs it and how to join, as text and without a script', async () => {
  const page = await ask('GET', '/');
  const html = page.body.toString();
  expect(page.headers['content-security-policy']).toMatch(/default-src 'none'; style-src 'sha256-/);
  expect(html).toContain('network join');
  expect(html).toContain('0.0000015 ETH');
  expect(html).not.toMatch(/<script|<b>/);
});

test('what was served is counted', async () => {
  const text = await metrics.text();
  expect(text).toMatch(/^# TYPE hearthlend_https_requests_total counter$/m);
  expect(text).toMatch(/^hearthlend_https_requests_total\{route="join",status="200"\} \d+$/m);
  expect(text).toMatch(/^hearthlend_https_connections \d+$/m);
});
