import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import Database from 'better-sqlite3';
import { type NatsStore, type NatsStoreOptions, openNatsStore } from '../../../coordinator/nats/store.ts';
import { startNats, type TestNats } from '../../nats.ts';

/** A nats-server and coordinators' stores on it, each with a folder and a connection of its own. */
export class Replicas {
  readonly root = mkdtempSync(join(tmpdir(), 'hearthlend-replicas-'));
  readonly nats: TestNats;
  readonly #logged: string[] = [];
  #heard: (() => void) | undefined;
  readonly #opened: Array<{ nc: NatsConnection; store: NatsStore }> = [];
  #networks = 0;

  private constructor(nats: TestNats) {
    this.nats = nats;
  }

  static async start(): Promise<Replicas> {
    return new Replicas(await startNats());
  }

  /** An id that no test has used on this server. */
  newNetwork(): string {
    this.#networks += 1;
    return `net.${this.#networks}`;
  }

  connect(port = this.nats.port): Promise<NatsConnection> {
    return connect({ servers: `127.0.0.1:${port}`, reconnectTimeWait: 50, maxReconnectAttempts: -1 });
  }

  /** @param name the coordinator's: it is the folder in which its replica is found again */
  async open(
    networkId: string,
    name: string,
    { port, ...options }: Partial<NatsStoreOptions> & { port?: number } = {},
  ): Promise<NatsStore> {
    const nc = await this.connect(port);
    const log: NatsStoreOptions['log'] = (_level, event) => {
      this.#logged.push(`${name} ${event}`);
      this.#heard?.();
    };
    try {
      const store = await openNatsStore({ nc, dir: this.dir(networkId, name), networkId, log, ...options });
      this.#opened.push({ nc, store });
      return store;
    } catch (thrown) {
      await nc.close();
      throw thrown;
    }
  }

  dir(networkId: string, name: string): string {
    return join(this.root, networkId, name);
  }

  /** Resolves when a coordinator has noted an event, whenever that was. */
  async noted(name: string, event: string): Promise<void> {
    while (!this.#logged.includes(`${name} ${event}`)) {
      await new Promise<void>((resolve) => {
        this.#heard = resolve;
      });
    }
  }

  /** Everything in a replica that is closed. */
  dump(networkId: string, name: string): Record<string, unknown[]> {
    return dumpOf(join(this.dir(networkId, name), 'replica.db'));
  }

  async closeAll(): Promise<void> {
    for (const { nc, store } of this.#opened.splice(0)) {
      await store.store.close();
      await nc.close();
    }
  }

  async stop(): Promise<void> {
    await this.closeAll();
    await this.nats.stop();
    rmSync(this.root, { recursive: true, force: true });
  }
}

/** The tables of a database with their rows, in the order in which they were put in. */
export function dumpOf(path: string): Record<string, unknown[]> {
  const db = new Database(path, { readonly: true });
  try {
    const tables = db.prepare<[], { name: string }>("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name").all();
    return Object.fromEntries(tables.map(({ name }) => [name, db.prepare(`SELECT * FROM ${name}`).all()]));
  } finally {
    db.close();
  }
}
