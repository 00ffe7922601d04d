import { join } from 'node:path';
import { asHearthlendError } from '../../core/contract/errors.ts';
import type { WorkerNkey } from '../../core/contract/joining.ts';
import type { Log } from '../log.ts';
import type { NatsAddress } from '../nats/connection.ts';
import { type ServerKeys, serverJwts, updatingLogin } from '../nats/keys.ts';
import { localHost, type NatsServer, runNatsServer } from '../nats/server.ts';
import type { Store } from '../store.ts';
import type { Authority } from '../tls/authority.ts';
import { hostAndPort } from '../tls/names.ts';

/** The NATS server that a coordinator runs for its network. */
export interface OwnNats {
  readonly server: NatsServer;
  /** For this coordinator's own connections. */
  address(): NatsAddress;
  /** For workers, by the names that this machine has. */
  servers(names: readonly string[]): string[];
  /** Shuts these keys out, and nobody else. */
  revoke(revocations: Readonly<Record<WorkerNkey, number>>): Promise<void>;
  stop(): Promise<void>;
}

interface OwnNatsOptions {
  dir: string;
  keys: ServerKeys;
  path: string;
  host: string;
  port: number;
  websocketPort: number | null;
  authority: Authority;
  log: Log;
}

const MAX_WORKERS = 20_000;
/** The coordinators' own connections, and those that are on their way in or out. */
const MAX_OTHERS = 1000;
/** JWTs from further ahead than this are no JWTs of ours. */
const AHEAD_S = 3600;

/** @throws NATS_FAILED, PORT_IN_USE, DISK_FULL, DATA_DIR_UNWRITABLE */
export async function openOwnNats({ dir, keys, path, host, port, websocketPort, authority, log }: OwnNatsOptions): Promise<OwnNats> {
  const jwts = await serverJwts(keys, MAX_WORKERS);
  let revoked: Readonly<Record<WorkerNkey, number>> = {};
  const server = await runNatsServer({
    ...{ path, host, port, websocketPort, log },
    folder: join(dir, 'nats'),
    tls: authority.paths,
    maxConnections: MAX_WORKERS + MAX_OTHERS,
    jwts: () => jwts(revoked),
    updating: await updatingLogin(keys),
    ca: authority.ca,
  });
  return {
    server,
    address: () => ({ servers: [`tls://${localHost(host)}:${server.port}`], ca: authority.ca }),
    servers: (names) => [
      ...names.map((name) => `tls://${hostAndPort(name, server.port)}`),
      ...(server.websocketPort === null ? [] : names.map((name) => `wss://${hostAndPort(name, server.websocketPort as number)}`)),
    ],
    async revoke(revocations) {
      revoked = revocations;
      await server.update();
    },
    stop: server.stop,
  };
}

/** Has NATS shut out whom any coordinator of the network revoked, as long as a JWT of theirs may be valid. Gives what ends that. */
export async function watchRevocations(own: OwnNats, store: Store, jwtMs: number, clock: () => number, log: Log): Promise<() => void> {
  let told = '{}';
  let telling = Promise.resolve();

  function follow(): Promise<void> {
    telling = telling.then(async () => {
      const revoked = await store.revokedSince(clock() - jwtMs - AHEAD_S * 1000);
      const entries = revoked.map(({ nkey, revokedAt }) => [nkey, Math.floor((revokedAt as number) / 1000) + AHEAD_S]);
      const revocations: Record<WorkerNkey, number> = Object.fromEntries(entries);
      if (JSON.stringify(revocations) === told) return;
      await own.revoke(revocations);
      told = JSON.stringify(revocations);
      log('info', 'revocations-told', { revoked: entries.length });
    });
    // It is told again with the next one; until then the service itself refuses them.
    telling = telling.catch((thrown: unknown) => log('error', 'revocations-not-told', { detail: asHearthlendError(thrown).message }));
    return telling;
  }

  await follow();
  return store.onApplied(({ name }) => {
    if (name === 'revoke' || name === 'join') void follow();
  });
}
