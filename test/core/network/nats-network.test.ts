import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LeaseReply, LeaseRequest } from '../../../core/contract/network.ts';
import type { WorkerCallName } from '../../../core/contract/worker-calls.ts';
import { fetchBlob } from '../../../core/models/fetch.ts';
import { frame } from '../../coordinator/nats/rig.ts';
import { type Lie, startFakeCoordinator } from '../../fakes/nats-coordinator.ts';
import { natsMissing } from '../../nats.ts';
import { member } from './rig.ts';

beforeEach((context) => context.skip(natsMissing() !== null, natsMissing() ?? ''));
afterEach(() => {
  vi.useRealTimers();
});

const REQUEST: LeaseRequest = { isolation: 'os', warmModels: [], memoryBytes: 1 << 30, practice: true };
const OUTPUTS = new Uint8Array(4);
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
const submission = (shardId: string, outputs: Uint8Array) => ({
  shardId,
  attempt: 1,
  commitment: digestOf(outputs),
  outputBytes: outputs.byteLength,
  units: 1,
  runMs: 1,
});
const leased = (reply: LeaseReply) => (reply.type === 'lease' ? reply.lease.shard.id : reply.reason.key);

describe('a network behind NATS', () => {
  it('lends, takes results small and large, and gives receipts', async () => {
    const coordinator = await startFakeCoordinator({ shards: 2 });
    const { network, connect } = await member(coordinator);
    await connect();
    expect(leased(await network.lease(REQUEST))).toBe('s1');
    expect(await network.progress('s1', 1, 0.5)).toBe(true);
    expect(await network.submit(submission('s1', OUTPUTS), OUTPUTS)).toMatchObject({ type: 'accepted', receipt: { sequence: 1 } });
    const large = randomBytes(3 << 20);
    expect(leased(await network.lease(REQUEST))).toBe('s2');
    expect(await network.submit(submission('s2', large), large)).toMatchObject({ type: 'accepted' });
    // By HTTPS and under its digest, before it was handed in.
    expect(Buffer.compare(coordinator.put.get(digestOf(large)) ?? OUTPUTS, large)).toBe(0);
    expect((await network.receiptsSince(0)).map(({ shardId }) => shardId)).toEqual(['s1', 's2']);
    expect(leased(await network.lease(REQUEST))).toBe('no-work.queue-empty');
  });

  it('is spoken to over a WebSocket too, under its own authority alone', async () => {
    const coordinator = await startFakeCoordinator({ shards: 1, websocket: true });
    const servers = [`wss://127.0.0.1:${coordinator.rig.server.websocketPort}`];
    const { network, connect, links } = await member(coordinator, (record) => ({ ...record, access: { ...record.access, servers } }));
    await connect();
    expect(links.at(-1)).toEqual({ state: 'connected' });
    expect(leased(await network.lease(REQUEST))).toBe('s1');
    const stranger = await startFakeCoordinator({ id: 'stranger' });
    const fooled = await member(coordinator, (record) => ({
      ...record,
      access: { ...record.access, servers, ca: stranger.rig.authority.ca },
    }));
    await fooled.connect();
    expect(fooled.links.at(-1)).toMatchObject({ state: 'lost', error: { code: 'NETWORK_CERTIFICATE_WRONG' } });
  });

  it('is not spoken to where the certificate of another authority answers', async () => {
    const coordinator = await startFakeCoordinator();
    const stranger = await startFakeCoordinator({ id: 'stranger' });
    const { connect, links } = await member(coordinator, (record) => ({
      ...record,
      access: { ...record.access, servers: stranger.rig.address().servers },
    }));
    await connect();
    expect(links.at(-1)).toMatchObject({ state: 'lost', error: { code: 'NETWORK_CERTIFICATE_WRONG' } });
    expect(stranger.asked).toEqual([]);
  });

  it('is found again after nats-server was killed and started anew, and is told what this machine holds', async () => {
    const coordinator = await startFakeCoordinator({ shards: 5 });
    const { network, connect, until } = await member(coordinator);
    await connect();
    await network.lease(REQUEST);
    let woken = 0;
    network.subscribe(({ type }) => {
      if (type === 'work') woken += 1;
    });
    // It starts again by itself, on the same port.
    process.kill(coordinator.rig.server.pid as number, 'SIGKILL');
    await until('lost');
    await expect(network.progress('s1', 1, null)).rejects.toMatchObject({ code: 'NETWORK_UNREACHABLE' });
    await expect(network.lease(REQUEST)).resolves.toMatchObject({ type: 'no-work', reason: { key: 'network.not-connected' } });
    await coordinator.mute();
    for (let answering = false; !answering; ) {
      answering = await coordinator.answer().then(
        () => true,
        () => false,
      );
    }
    await until('connected');
    expect(coordinator.inputs.findLast(({ call }) => call === 'connect')?.input).toMatchObject({ holds: [{ shardId: 's1', attempt: 1 }] });
    expect(woken).toBe(1);
    expect(await network.submit(submission('s1', OUTPUTS), OUTPUTS)).toMatchObject({ type: 'accepted' });
  });

  it('lets in with a renewed JWT when the old one is over, whatever the clocks say', async () => {
    const coordinator = await startFakeCoordinator({ shards: 1 });
    coordinator.aheadMs = 3_600_000;
    coordinator.jwtMs = -10_000;
    const { network, connect, record, links, until } = await member(coordinator);
    const first = record().access.jwt;
    coordinator.jwtMs = 3_600_000;
    await connect();
    await until('connected');
    expect(record().access.jwt).not.toBe(first);
    expect(links.map(({ state }) => state)).not.toContain('refused');
    expect(leased(await network.lease(REQUEST))).toBe('s1');
  });

  it('renews a JWT before it is over, without losing the connection', async () => {
    const coordinator = await startFakeCoordinator({ shards: 1 });
    coordinator.jwtMs = 4000;
    const { connect, record, links } = await member(coordinator);
    const first = record().access.jwt;
    coordinator.jwtMs = 3_600_000;
    await connect();
    while (record().access.jwt === first) await new Promise((resolve) => setTimeout(resolve, 50));
    expect(links.map(({ state }) => state)).toEqual(['connecting', 'connected']);
  });

  it('says that access was taken back, and lets this machine in again once it is given', async () => {
    const coordinator = await startFakeCoordinator({ shards: 1 });
    coordinator.jwtMs = -10_000;
    coordinator.renewRefusal = 'NETWORK_REVOKED';
    const { network, connect, links, until } = await member(coordinator);
    await connect();
    expect(links.at(-1)).toMatchObject({ state: 'refused', error: { code: 'NETWORK_REVOKED' } });
    await expect(network.receiptsSince(0)).rejects.toMatchObject({ code: 'NETWORK_REVOKED' });
    coordinator.renewRefusal = null;
    coordinator.jwtMs = 3_600_000;
    await until('connected');
    expect(leased(await network.lease(REQUEST))).toBe('s1');
  });

  it('passes on that a lease was taken back, and that there is work', async () => {
    const coordinator = await startFakeCoordinator({ shards: 1 });
    const { network, connect } = await member(coordinator);
    await connect();
    const events: unknown[] = [];
    const both = new Promise<void>((resolve) => {
      network.subscribe((event) => {
        events.push(event);
        if (event.type === 'work') resolve();
      });
    });
    coordinator.tell({ type: 'revoked', shardId: 's1', attempt: 1 });
    coordinator.tell({ type: 'nonsense' });
    coordinator.tell({ type: 'work' });
    await both;
    expect(events).toEqual([{ type: 'revoked', shardId: 's1', attempt: 1 }, { type: 'work' }]);
  });
});

describe('a coordinator that lies', () => {
  const call: Record<string, (network: Awaited<ReturnType<typeof member>>['network']) => Promise<unknown>> = {
    lease: (network) => network.lease(REQUEST),
    progress: (network) => network.progress('s1', 1, null),
    submit: (network) => network.submit(submission('s1', OUTPUTS), OUTPUTS),
    release: (network) => network.release('s1', 1, 'paused', null),
    receiptsSince: (network) => network.receiptsSince(0),
    pendingBatches: (network) => network.pendingBatches(),
    countersign: (network) => network.countersign({ network: 'studio', last: 1 }, `0x${'1'.repeat(130)}`),
    blobAccess: (network) => network.fetchBlob('a'.repeat(64), 0),
  };
  const nonsense: [string, Lie, string][] = [
    ['no frame', Uint8Array.of(1, 2, 3), 'NETWORK_ANSWER_INVALID'],
    ['a frame that announces more than there is', Uint8Array.of(255, 255, 255, 127, 0, 0, 0, 0), 'NETWORK_ANSWER_INVALID'],
    ['half of a frame', frame({ ok: true, output: {} }).subarray(0, 12), 'NETWORK_ANSWER_INVALID'],
    ['two frames', Buffer.concat([frame({ ok: true, output: {} }), frame({ ok: true, output: {} })]), 'NETWORK_ANSWER_INVALID'],
    ['another shape', frame({ ok: true, output: { held: 'yes', further: 1 } }), 'NETWORK_ANSWER_INVALID'],
    ['no output', frame({ ok: true }), 'NETWORK_ANSWER_INVALID'],
    ['an error of its own', 'LEDGER_BROKEN', 'NETWORK_REFUSED'],
  ];

  it('is told from one that is right at each of its calls, and nothing of it is used', async () => {
    const coordinator = await startFakeCoordinator({ shards: 3 });
    const { network, connect } = await member(coordinator);
    await connect();
    for (const name of Object.keys(call) as WorkerCallName[]) {
      for (const [lie, answer, code] of nonsense) {
        coordinator.lies.set(name, answer);
        await expect(call[name]?.(network), `${name}: ${lie}`).rejects.toMatchObject({ code, params: { network: 'studio' } });
      }
      coordinator.lies.delete(name);
    }
    expect(leased(await network.lease(REQUEST))).toBe('s1');
  });

  it('that never answers keeps nobody waiting for longer than a call may take', async () => {
    const coordinator = await startFakeCoordinator({ shards: 3 });
    const { network, connect } = await member(coordinator);
    await connect();
    coordinator.lies.set('lease', null).set('submit', null);
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const both = Promise.allSettled([network.lease(REQUEST), network.submit(submission('s1', OUTPUTS), OUTPUTS)]);
    await coordinator.until(() => coordinator.asked.includes('lease') && coordinator.asked.includes('submit'));
    await vi.advanceTimersByTimeAsync(90_000);
    const unreachable = { status: 'rejected', reason: { code: 'NETWORK_UNREACHABLE' } };
    expect(await both).toMatchObject([unreachable, unreachable]);
  });

  it('and lends a task twice, one of another network, or more than was asked for, is found out', async () => {
    const coordinator = await startFakeCoordinator({ shards: 9 });
    const { network, connect } = await member(coordinator);
    await connect();
    const reply = await network.lease(REQUEST);
    if (reply.type !== 'lease') throw new Error('no lease');
    const { lease } = reply;
    coordinator.lies.set('lease', frame({ ok: true, output: reply }));
    await expect(network.lease(REQUEST)).rejects.toMatchObject({ code: 'LEASE_DOUBLED' });
    for (const shard of [
      { ...lease.shard, id: 'x', network: 'other' },
      { ...lease.shard, id: 'y', origin: 'own' },
    ]) {
      coordinator.lies.set('lease', frame({ ok: true, output: { type: 'lease', lease: { ...lease, shard } } }));
      await expect(network.lease(REQUEST)).rejects.toMatchObject({ code: 'NETWORK_ANSWER_INVALID' });
    }
    const further = [1, 2, 3].map((each) => ({ ...lease, shard: { ...lease.shard, id: `z${each}` } }));
    coordinator.lies.set('lease', frame({ ok: true, output: { type: 'lease', lease: { ...lease, attempt: 2 }, further } }));
    await expect(network.lease(REQUEST)).rejects.toMatchObject({ code: 'NETWORK_ANSWER_INVALID' });
  });

  it('and says on connecting that it is somebody else is not connected to', async () => {
    const coordinator = await startFakeCoordinator();
    const { connect, links } = await member(coordinator);
    coordinator.terms = { ...coordinator.terms, coordinator: `0x${'9'.repeat(40)}` };
    await connect();
    expect(links.at(-1)).toMatchObject({ state: 'lost', error: { code: 'NETWORK_ANSWER_INVALID' } });
  });
});

describe('bytes of a network', () => {
  it('go on where a connection broke, and are verified as a whole', async () => {
    const coordinator = await startFakeCoordinator();
    const { network, connect } = await member(coordinator);
    await connect();
    const bytes = randomBytes(5 << 20);
    const digest = digestOf(bytes);
    coordinator.blobs.set(digest, bytes);
    coordinator.breaks = [1 << 20, 2 << 20];
    const read = await fetchBlob({ digest, bytes: bytes.byteLength }, (each, offset) => network.fetchBlob(each, offset), 1 << 24);
    expect(Buffer.from(read).equals(bytes)).toBe(true);
    expect(coordinator.ranges).toHaveLength(3);
    expect(coordinator.ranges[0]).toBeUndefined();
    expect(coordinator.ranges.slice(1).map((range) => Number(/\d+/.exec(range ?? '')?.[0]) > 0)).toEqual([true, true]);
  });

  it('that are not there, or are others than were asked for, are told so', async () => {
    const coordinator = await startFakeCoordinator();
    const { network, connect } = await member(coordinator);
    await connect();
    const digest = digestOf(Uint8Array.of(1));
    await expect(network.fetchBlob(digest, 0)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    coordinator.blobs.set(digest, Uint8Array.of(2));
    const read = fetchBlob({ digest, bytes: 1 }, (each, offset) => network.fetchBlob(each, offset), 100);
    await expect(read).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  });
});

describe('leases ahead', () => {
  it('are asked for in batches once shards prove to be short, and what is not run goes back on pause', async () => {
    const coordinator = await startFakeCoordinator({ shards: 500 });
    const { network, connect } = await member(coordinator);
    await connect();
    const ids: string[] = [];
    for (let each = 0; each < 60; each += 1) ids.push(leased(await network.lease(REQUEST)));
    expect(new Set(ids).size).toBe(60);
    const asked = coordinator.asked.filter((call) => call === 'lease').length;
    expect(asked).toBeLessThan(40);
    await network.dropAhead?.('paused');
    const back = coordinator.network.released.filter(({ reason }) => reason === 'paused').map(({ shardId }) => shardId);
    // What was handed out is its runner's to give back.
    expect([...ids, ...back].sort()).toEqual(coordinator.network.leased.map(({ shard }) => shard.id).sort());
    expect(back.some((id) => ids.includes(id))).toBe(false);
  });

  it('go back when the user refuses what they were lent under', async () => {
    const coordinator = await startFakeCoordinator({ shards: 500 });
    const { network, connect } = await member(coordinator);
    await connect();
    for (let each = 0; each < 30; each += 1) await network.lease(REQUEST);
    await network.lease({ ...REQUEST, refusedCategories: ['images'] });
    await coordinator.until(() =>
      coordinator.inputs.some(({ call, input }) => call === 'lease' && 'refusedCategories' in (input as object)),
    );
    expect(coordinator.network.released.length).toBe(
      coordinator.network.leased.findIndex(({ shard }) => shard.id === coordinator.network.released.at(-1)?.shardId) + 1 - 30,
    );
  });
});
