import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { formatJoinLink } from '../../../core/contract/joining.ts';
import { NetworkChoices } from '../../../core/contract/networks.ts';
import { pathBetween } from '../../../core/contract/succession-hash.ts';
import { type Identity, openIdentity, replaceIdentity } from '../../../core/identity/identity.ts';
import { writeDurably } from '../../../core/ledger/durable-file.ts';
import { joinNetwork, readLink, readTerms } from '../../../core/network/joining.ts';
import { createNatsNetwork } from '../../../core/network/nats-network.ts';
import { type JoinedNetwork, Records } from '../../../core/network/records.ts';
import { beforeRekey, isFormer, rekeyNetwork } from '../../../core/network/rekeying.ts';
import { startFakeCoordinator, strangersFingerprint } from '../../fakes/nats-coordinator.ts';
import { natsMissing } from '../../nats.ts';
import { joinAs, tempFolder } from './rig.ts';

beforeEach((context) => context.skip(natsMissing() !== null, natsMissing() ?? ''));

describe('joining a network', () => {
  it('shows the terms first, then registers a key made here, and keeps it in a file that only the user can read', async () => {
    const coordinator = await startFakeCoordinator();
    const preview = await readTerms(readLink(coordinator.link()));
    expect(preview).toEqual({ at: coordinator.at, fingerprint: coordinator.rig.authority.fingerprint, terms: coordinator.terms });
    expect(coordinator.asked).toEqual(['GET /v1/terms']);
    const joined = await joinAs(coordinator);
    const folder = join(tempFolder(), 'networks');
    new Records(folder, writeDurably).put(joined);
    const path = join(folder, 'studio.json');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(new Records(folder, writeDurably).all()).toEqual([joined]);
    expect(joined.seed).toMatch(/^SU/);
  });

  it('says nothing to whoever answers under another certificate authority than the link names', async () => {
    const coordinator = await startFakeCoordinator();
    const link = coordinator.link(strangersFingerprint(tempFolder()));
    await expect(readTerms(readLink(link))).rejects.toMatchObject({ code: 'INVITE_FINGERPRINT_WRONG' });
    await expect(joinAs(coordinator, link)).rejects.toMatchObject({ code: 'INVITE_FINGERPRINT_WRONG' });
    expect(coordinator.asked).toEqual([]);
  });

  it('takes the fingerprint of the server itself for no authority', async () => {
    const coordinator = await startFakeCoordinator();
    const { X509Certificate, createHash } = await import('node:crypto');
    const leaf = new X509Certificate(coordinator.rig.authority.server().certificate);
    const link = coordinator.link(createHash('sha256').update(leaf.raw).digest('hex'));
    await expect(readTerms(readLink(link))).rejects.toMatchObject({ code: 'INVITE_FINGERPRINT_WRONG' });
  });

  it.each(['INVITE_UNKNOWN', 'INVITE_USED', 'INVITE_EXPIRED'] as const)('tells a refused invitation by its code: %s', async (code) => {
    const coordinator = await startFakeCoordinator();
    coordinator.joinRefusal = code;
    await expect(joinAs(coordinator)).rejects.toMatchObject({ code });
  });

  it('joins nothing whose answer is another network, other terms or another authority than was agreed to', async () => {
    const coordinator = await startFakeCoordinator();
    const read = readLink(coordinator.link());
    const { terms } = await readTerms(read);
    const joiner = {
      worker: `0x${'1'.repeat(40)}`,
      payee: `0x${'1'.repeat(40)}`,
      version: '0.1.0',
      signDigest: () => `0x${'1'.repeat(130)}`,
      clock: Date.now,
    };
    const { admit } = coordinator;
    const lies = [
      { terms: { ...terms, holdBackMs: 1 } },
      { network: { id: 'other', coordinator: terms.coordinator, asset: terms.asset, isolation: terms.isolation, sameTrustDomain: false } },
      { ca: 'not a certificate' },
      { servers: [] },
    ];
    for (const lie of lies) {
      coordinator.admit = async (nkey) => ({ ...(await admit.call(coordinator, nkey)), ...lie });
      await expect(joinNetwork(read, terms, joiner)).rejects.toMatchObject({ code: 'NETWORK_ANSWER_INVALID' });
    }
  });

  it.each(['', 'https://example.org', 'hearthlend://open', 'hearthlend://join?at=x', 'hearthlend://join?at=a:1&secret=b&sha256=c'])(
    'refuses %j as an invitation',
    (text) => {
      expect(() => readLink(text)).toThrow(expect.objectContaining({ code: 'INVITE_INVALID' }));
    },
  );

  it('says who is not there', async () => {
    const link = formatJoinLink({ at: '127.0.0.1:1', secret: 's'.repeat(43), fingerprint: 'a'.repeat(64) });
    await expect(readTerms(readLink(link))).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE', params: { network: '127.0.0.1:1' } });
  });
});

describe('a network that knows this machine by a former key', () => {
  it('is told of the new one before it is connected to, until the answer has come: with the same keys, and the old one’s word', async () => {
    const coordinator = await startFakeCoordinator();
    const path = join(tempFolder(), 'identity.json');
    const former = openIdentity(path);
    const asks = (identity: Identity) => ({
      ...{ worker: identity.address, payee: identity.address, version: '0.1.0', clock: Date.now },
      signDigest: (digest: string) => identity.signDigest(digest),
    });
    const read = readLink(coordinator.link());
    const joined = await joinNetwork(read, coordinator.terms, asks(former));
    let record: JoinedNetwork = { ...joined, choices: NetworkChoices.parse({}) };
    const identity = replaceIdentity(path, { keep: false });
    expect(isFormer(record, former.address)).toBe(false);
    expect(isFormer(record, identity.address)).toBe(true);
    coordinator.rekeysLost = 1;
    const up = Promise.withResolvers<void>();
    const states: string[] = [];
    const network = createNatsNetwork({
      record: () => record,
      save: (next) => {
        record = next;
      },
      version: '0.1.0',
      clock: Date.now,
      async prepare() {
        if (!isFormer(record, identity.address)) return;
        const before = beforeRekey(record);
        record = before;
        const { following: _, ...kept } = before;
        record = { ...kept, ...(await rekeyNetwork(before, asks(identity), identity.successions)) };
      },
      onInfo: () => undefined,
      mayBePaid: () => true,
      onLink(link) {
        states.push(link.state);
        if (link.state === 'connected') up.resolve();
      },
    });
    onTestFinished(() => network.close());
    await network.connect({ address: identity.address, payee: identity.address });
    await up.promise;
    expect(states).toEqual(['connecting', 'lost', 'connected']);
    expect(record).toMatchObject({ worker: identity.address, payee: identity.address });
    expect(record.following).toBeUndefined();
    const [first, second, ...more] = coordinator.rekeys;
    expect(more).toEqual([]);
    expect(second?.successor).toEqual(first?.successor);
    expect(second).toMatchObject({ nkey: joined.nkey, successor: { nkey: record.nkey, worker: identity.address } });
    expect(pathBetween(second?.successions ?? [], former.address, identity.address)).toHaveLength(1);
    // Kept as it is, it is read again.
    const folder = join(tempFolder(), 'networks');
    new Records(folder, writeDurably).put(record);
    expect(new Records(folder, writeDurably).all()).toEqual([record]);
  });
});

describe('the files of joined networks', () => {
  it('that are damaged, readable by others or of another network are left alone, and told by what is wrong with them', async () => {
    const coordinator = await startFakeCoordinator();
    const joined = await joinAs(coordinator);
    const folder = join(tempFolder(), 'networks');
    const records = new Records(folder, writeDurably);
    records.put(joined);
    const text = readFileSync(join(folder, 'studio.json'), 'utf8');
    writeFileSync(join(folder, 'cut.json'), text.slice(0, 200), { mode: 0o600 });
    writeFileSync(join(folder, 'other.json'), text, { mode: 0o600 });
    writeFileSync(join(folder, 'key.json'), text.replace(joined.seed, `SU${'A'.repeat(56)}`), { mode: 0o600 });
    writeFileSync(join(folder, 'open.json'), text.replaceAll('"studio"', '"open"'), { mode: 0o600 });
    chmodSync(join(folder, 'open.json'), 0o644);
    const again = new Records(folder, writeDurably);
    expect(again.all().map(({ id }) => id)).toEqual(['studio']);
    expect(again.broken.map(({ error }) => error.code).sort()).toEqual([
      'IDENTITY_EXPOSED',
      'NETWORK_RECORD_INVALID',
      'NETWORK_RECORD_INVALID',
      'NETWORK_RECORD_INVALID',
    ]);
    expect(JSON.stringify(again.broken.map(({ error }) => [error.message, error.params]))).not.toContain(joined.seed.slice(4));
    again.remove('studio');
    expect(readdirSync(folder).sort()).toEqual(['cut.json', 'key.json', 'open.json', 'other.json']);
  });
});
