import { join } from 'node:path';
import { createLoad } from '../../coordinator/bench/load.ts';
import { type Blobs, openBlobs } from '../../coordinator/blobs.ts';
import { openNatsBlobs } from '../../coordinator/nats/blobs.ts';
import { connectNats } from '../../coordinator/nats/connection.ts';
import { credentialsOf, newServerKeys, storeLogin } from '../../coordinator/nats/keys.ts';
import { findNatsServer } from '../../coordinator/nats/program.ts';
import { openNatsStore } from '../../coordinator/nats/store.ts';
import { openOwnNats } from '../../coordinator/operating/own-nats.ts';
import { openSqliteStore } from '../../coordinator/sqlite/store.ts';
import type { Store } from '../../coordinator/store.ts';
import { openAuthority } from '../../coordinator/tls/authority.ts';
import type { CoordinatorBench } from '../../core/bench.ts';
import { HearthlendError } from '../../core/contract/errors.ts';

const NETWORK = 'bench';
const HASH = `0x${'0'.repeat(64)}`;
const SIGNATURE = `0x${'0'.repeat(130)}`;
const log = () => undefined;

/** A coordinator on each store that there is, one after the other: on one SQLite file, and behind NATS where nats-server is installed. */
export async function* benchCoordinators(dir: string): AsyncGenerator<CoordinatorBench> {
  const { store } = openSqliteStore(join(dir, 'coordinator.db'), NETWORK);
  try {
    yield* loaded('embedded', store, openBlobs(join(dir, 'coordinator-blobs')));
  } finally {
    await store.close();
  }
  const path = findProgram();
  if (path !== null) yield* behindNats(path, dir);
}

async function* behindNats(path: string, dir: string): AsyncGenerator<CoordinatorBench> {
  const host = '127.0.0.1';
  const keys = newServerKeys();
  const authority = openAuthority(join(dir, 'authority'), NETWORK, [host], Date.now());
  const nats = await openOwnNats({ dir, keys, path, host, port: 0, websocketPort: null, authority, log });
  try {
    const nc = await connectNats(nats.address(), await storeLogin(credentialsOf(keys)), NETWORK);
    try {
      const state = await openNatsStore({ nc, dir: join(dir, 'replica'), networkId: NETWORK, log });
      try {
        const blobs = await openNatsBlobs({ nc, dir: join(dir, 'replica-blobs'), networkId: NETWORK, state, clock: Date.now, log });
        yield* loaded('behind NATS', state.store, blobs);
      } finally {
        await state.store.close();
      }
    } finally {
      await nc.close();
    }
  } finally {
    await nats.stop();
  }
}

async function* loaded(name: string, store: Store, blobs: Blobs): AsyncGenerator<CoordinatorBench> {
  const { close, ...leasing } = createLoad(NETWORK, store, blobs);
  const batches = new Map<number, number>();
  try {
    yield {
      name,
      ...leasing,
      async record(number) {
        const last = (batches.get(number) ?? 0) + 1;
        batches.set(number, last);
        // Of workers that compute nothing here.
        const worker = `0x${(2 ** 32 + number).toString(16).padStart(40, 'f')}`;
        const batch = { network: NETWORK, worker, first: last, last, merkleRoot: HASH, headHash: HASH };
        await store.addBatch({ batch, coordinatorSignature: SIGNATURE, workerSignature: null });
      },
    };
  } finally {
    await close();
  }
}

/** Null where nats-server is missing: what is behind NATS is not measured then. */
function findProgram(): string | null {
  try {
    return findNatsServer(process.env, process.platform);
  } catch (thrown) {
    if (thrown instanceof HearthlendError && thrown.code === 'NATS_MISSING') return null;
    throw thrown;
  }
}
