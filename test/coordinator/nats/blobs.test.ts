import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { Objm } from '@nats-io/obj';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Blobs } from '../../../coordinator/blobs.ts';
import { type NatsBlobsOptions, openNatsBlobs } from '../../../coordinator/nats/blobs.ts';
import { type Objects, openObjects } from '../../../coordinator/nats/objects.ts';
import type { NatsStore } from '../../../coordinator/nats/store.ts';
import { natsMissing } from '../../nats.ts';
import { describeBlobs } from '../blobs-contract.ts';
import { Replicas } from './replicas.ts';

const DAY_MS = 86_400_000;
const missing = natsMissing();
const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

describe.skipIf(missing !== null)('blobs of several coordinators', () => {
  let replicas: Replicas;
  let nc: NatsConnection;
  let network: string;
  beforeAll(async () => {
    replicas = await Replicas.start();
    nc = await replicas.connect();
  });
  afterAll(async () => {
    await nc.close();
    await replicas.stop();
  });
  beforeEach(() => {
    network = replicas.newNetwork();
  });
  afterEach(() => replicas.closeAll());
  const bucketName = () => `HL_${network.replace('.', 'P')}_blobs`;
  const bucket = (): Promise<Objects> => openObjects(nc, bucketName(), '');
  const open = async (name: string, options: Partial<NatsBlobsOptions> = {}) => {
    const state = await replicas.open(network, name);
    const dir = join(replicas.dir(network, name), 'blobs');
    const blobs = await openNatsBlobs({ nc, dir, networkId: network, state, clock: Date.now, log: () => undefined, ...options });
    return { blobs, dir, ...state };
  };
  const holdAndPut = async ({ store, blobs }: { store: NatsStore['store']; blobs: Blobs }, holder: string, bytes: Uint8Array) => {
    await store.hold(holder, [digestOf(bytes)]);
    return blobs.putBytes(bytes);
  };
  const letGo = async ({ store, blobs }: { store: NatsStore['store']; blobs: Blobs }, holder: string) => {
    for (const digest of await store.letGo(holder)) await blobs.remove(digest);
  };

  describeBlobs('behind NATS', async (dir) => (await open('a', { dir })).blobs);

  test('what one coordinator puts another one has, piece by piece and with its digest checked', async () => {
    const [a, b] = [await open('a'), await open('b')];
    const bytes = new Uint8Array(3_000_001).map((_, index) => (index * 7919) >> 5);
    const source = join(replicas.dir(network, 'a'), 'model.onnx');
    writeFileSync(source, bytes);
    const ref = { digest: digestOf(bytes), bytes: bytes.byteLength };
    await a.store.hold('job:1', [ref.digest]);
    await a.blobs.putFile(source, ref);
    const paths = await Promise.all([b.blobs.path(ref.digest), b.blobs.path(ref.digest)]);
    expect(readFileSync(paths[0]).equals(bytes)).toBe(true);
    expect(readdirSync(b.dir)).toEqual([ref.digest]);
    // As any client of JetStream's object store reads it.
    const asObject = await (await new Objm(nc).open(bucketName())).getBlob(ref.digest);
    expect(asObject !== null && Buffer.from(asObject).equals(bytes)).toBe(true);
    truncateSync(paths[0], 9);
    expect(Buffer.from(await b.blobs.read(ref.digest)).equals(bytes)).toBe(true);
  });

  test('what nobody holds any more goes from the bucket and from every coordinator', async () => {
    const [a, b] = [await open('a'), await open('b')];
    const { digest } = await holdAndPut(a, 'job:1', Buffer.from('weights'));
    await holdAndPut(b, 'job:2', Buffer.from('weights'));
    await letGo(a, 'job:1');
    expect(Buffer.from(await b.blobs.read(digest)).toString()).toBe('weights');
    await letGo(b, 'job:2');
    await a.caughtUp();
    expect(await (await bucket()).names()).toEqual([]);
    expect((await (await bucket()).bytes()) < 1000).toBe(true);
    await expect(b.blobs.path(digest)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
    await expect(a.blobs.path(digest)).rejects.toMatchObject({ code: 'BLOB_MISSING' });
  });

  test('bytes that one coordinator lets go of while another takes them in stay', async () => {
    const [a, b] = [await open('a'), await open('b')];
    const bytes = Buffer.from('the same inputs');
    for (let round = 0; round < 15; round += 1) {
      await holdAndPut(a, `a:${round}`, bytes);
      await Promise.all([letGo(a, `a:${round}`), holdAndPut(b, `b:${round}`, bytes)]);
      expect(await (await bucket()).find(digestOf(bytes))).not.toBeNull();
      await Promise.all([holdAndPut(a, `a2:${round}`, bytes), letGo(b, `b:${round}`)]);
      expect(await (await bucket()).find(digestOf(bytes))).not.toBeNull();
      await letGo(a, `a2:${round}`);
    }
    expect(await (await bucket()).names()).toEqual([]);
  });

  test('a bucket that is full says so and keeps what it has', async () => {
    const a = await open('a', { maxBytes: 4000 });
    const first = await holdAndPut(a, 'job:1', Buffer.alloc(3000, 1));
    await expect(holdAndPut(a, 'job:2', Buffer.alloc(3000, 2))).rejects.toMatchObject({ code: 'STORE_FULL' });
    expect((await a.blobs.read(first.digest)).byteLength).toBe(3000);
  });

  test('bytes that are not those of their name are refused', async () => {
    const a = await open('a');
    const wrong = join(replicas.dir(network, 'a'), 'wrong');
    writeFileSync(wrong, 'something else');
    await (await bucket()).put('3'.repeat(64), wrong);
    await expect(a.blobs.path('3'.repeat(64))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
    expect(readdirSync(a.dir)).toEqual([]);
  });

  test('pieces of an upload that nobody finished are removed a day later, and no others', async () => {
    let now = Date.now();
    const a = await open('a', { clock: () => now });
    const kept = await holdAndPut(a, 'job:1', Buffer.from('kept'));
    await jetstream(nc).publish(`$O.${bucketName()}.C.unfinished`, new Uint8Array(1000));
    const size = async () => (await bucket()).bytes();
    const before = await size();
    await a.blobs.keepOnly(() => a.store.heldBlobs());
    expect(await size()).toBe(before);
    now = Date.now() + DAY_MS + 1000;
    await a.blobs.keepOnly(() => a.store.heldBlobs());
    expect(await size()).toBeLessThan(before - 900);
    expect(Buffer.from(await a.blobs.read(kept.digest)).toString()).toBe('kept');
  });

  test('bytes are fetched to their end though NATS is away for a moment', async () => {
    const [a, b] = [await open('a'), await open('b')];
    const bytes = new Uint8Array(6_000_000).map((_, index) => (index * 31) >> 3);
    const { digest } = await holdAndPut(a, 'job:1', bytes);
    const fetching = b.blobs.path(digest);
    await replicas.nats.kill();
    await replicas.nats.restart();
    expect(readFileSync(await fetching).equals(bytes)).toBe(true);
  });
});
