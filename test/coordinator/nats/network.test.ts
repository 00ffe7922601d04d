import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { afterAll, afterEach, beforeAll, describe } from 'vitest';
import { createCoordinator } from '../../../coordinator/core.ts';
import { forOneWorker } from '../../../coordinator/embedded.ts';
import { openNatsBlobs } from '../../../coordinator/nats/blobs.ts';
import { openNatsStore } from '../../../coordinator/nats/store.ts';
import { natsMissing } from '../../nats.ts';
import { describeNetwork } from '../network-contract.ts';
import type { Workbench } from '../workbench.ts';
import { workerKey } from '../workbench.ts';
import { Replicas } from './replicas.ts';

describe.skipIf(natsMissing() !== null)('behind NATS', () => {
  let replicas: Replicas;
  let opened: { close(): Promise<void>; kill(): Promise<void> } | undefined;
  beforeAll(async () => {
    replicas = await Replicas.start();
  });
  afterAll(() => replicas.stop());
  afterEach(async () => {
    await opened?.close();
    opened = undefined;
    const nc = await replicas.connect();
    const jsm = await jetstreamManager(nc);
    for await (const { config } of jsm.streams.list()) await jsm.streams.delete(config.name);
    await nc.close();
  });

  async function kill(): Promise<void> {
    await opened?.kill();
    opened = undefined;
  }

  async function open(bench: Workbench, changes: Parameters<Workbench['open']>[0] = {}) {
    // The bench has copied the folder that it left.
    await kill();
    const nc: NatsConnection = await replicas.connect();
    const options = { ...bench.options, ...changes };
    const { networkId, clock, practice: source, quota } = options;
    const log = () => undefined;
    const state = await openNatsStore({ nc, dir: bench.dir, networkId, log });
    const blobs = await openNatsBlobs({ nc, dir: join(bench.dir, 'blobs'), networkId, state, clock, log });
    const core = createCoordinator({ ...options, store: state.store, blobs, practice: { source, book: state.book, quota } });
    const network = forOneWorker(core, { id: networkId, blobs, closeStore: state.store.close, monotonic: () => performance.now() });
    const close = async () => {
      await network.close();
      await nc.close();
    };
    opened = { close, kill: () => state.store.close() };
    await network.connect({ address: workerKey.address, payee: workerKey.address });
    return {
      ...network,
      async close() {
        opened = undefined;
        await close();
      },
    };
  }

  describeNetwork('a coordinator on a replica', { open, kill, blobs: (bench) => readdirSync(join(bench.dir, 'blobs')).length });
});
