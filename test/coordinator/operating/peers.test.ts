import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { meetPeers, openPeerId } from '../../../coordinator/operating/peers.ts';
import { openSqliteStore } from '../../../coordinator/sqlite/store.ts';
import type { Store } from '../../../coordinator/store.ts';

let dir: string;
let store: Store;
let now = Date.UTC(2026, 10, 21);
const clock = () => now;
const log = () => undefined;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'hearthlend-peers-'));
  store = openSqliteStore(join(dir, 'coordinator.db'), 'studio').store;
});
afterEach(async () => {
  await store.close();
  rmSync(dir, { recursive: true, force: true });
});

test('coordinators of one network know where the others are; one that leaves is gone, one that dies is gone after a while', async () => {
  const a = await meetPeers(store, 'a'.repeat(16), () => ['https://a:1'], clock, log);
  expect([a.urls(), a.count()]).toEqual([['https://a:1'], 1]);
  const b = await meetPeers(store, 'b'.repeat(16), () => ['https://b:1'], clock, log);
  expect([b.urls(), b.count()]).toEqual([['https://b:1', 'https://a:1'], 2]);
  await b.close();
  const again = await meetPeers(store, 'c'.repeat(16), () => ['https://c:1'], clock, log);
  expect(again.urls()).toEqual(['https://c:1', 'https://a:1']);
  now += 5 * 60_000;
  const late = await meetPeers(store, 'd'.repeat(16), () => ['https://d:1'], clock, log);
  expect([late.urls(), late.count()]).toEqual([['https://d:1'], 1]);
  for (const peer of [a, again, late]) await peer.close();
});

test('a folder’s coordinator is the same one after it was killed', async () => {
  const id = openPeerId(dir);
  const killed = await meetPeers(store, id, () => ['https://old:1'], clock, log);
  const started = await meetPeers(store, openPeerId(dir), () => ['https://new:1'], clock, log);
  expect([started.urls(), started.count()]).toEqual([['https://new:1'], 1]);
  await killed.close();
  await started.close();
  writeFileSync(join(dir, 'peer.json'), '{}');
  expect(() => openPeerId(dir)).toThrow(expect.objectContaining({ code: 'COORDINATOR_FILE_INVALID' }));
});
