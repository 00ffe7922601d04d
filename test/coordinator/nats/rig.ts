import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUser, type KeyPair } from '@nats-io/jwt';
import { jwtAuthenticator, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { connectNats } from '../../../coordinator/nats/connection.ts';
import { answeringLogin, credentialsOf, newServerKeys, serverJwts, updatingLogin, workerJwt } from '../../../coordinator/nats/keys.ts';
import { findNatsServer } from '../../../coordinator/nats/program.ts';
import { type NatsServer, type NatsServerOptions, runNatsServer } from '../../../coordinator/nats/server.ts';
import { openAuthority } from '../../../coordinator/tls/authority.ts';
import { encodeFramePrefix, FrameDecoder } from '../../../core/contract/frame.ts';
import { WORKER_FRAME_LIMITS } from '../../../core/contract/worker-calls.ts';

/** The nats-server that a coordinator runs, in a folder of its own, with clients that hold a valid JWT and nothing of ours. */
export async function natsRig({ websocket = false, host = '127.0.0.1' } = {}) {
  const root = mkdtempSync(join(tmpdir(), 'hearthlend-rig-'));
  const keys = newServerKeys();
  const credentials = credentialsOf(keys);
  const authority = openAuthority(join(root, 'tls'), 'studio', [...new Set([host, '127.0.0.1']), 'localhost'], Date.now());
  const revocations: Record<string, number> = {};
  const logged: string[] = [];
  const jwts = await serverJwts(keys, 100);
  const options: NatsServerOptions = {
    path: findNatsServer(process.env, process.platform),
    folder: join(root, 'nats'),
    host,
    port: 0,
    websocketPort: websocket ? 0 : null,
    tls: authority.paths,
    maxConnections: 200,
    jwts: () => jwts(revocations),
    updating: await updatingLogin(keys),
    ca: authority.ca,
    log: (_level, event, facts) => logged.push(`${event} ${facts.line ?? ''}`),
  };
  const server: NatsServer = await runNatsServer(options);
  const address = () => ({ servers: [`tls://${host}:${server.port}`], ca: authority.ca });
  const open: NatsConnection[] = [];
  const tls = { ca: authority.ca, checkServerIdentity: () => undefined };

  return {
    root,
    server,
    authority,
    credentials,
    revocations,
    options: () => options,
    /** What it said, as far as the coordinator notes it. */
    serverLog: () => logged,
    address,
    answering: async () => connectNats(address(), await answeringLogin(credentials), 'answering'),
    /** A worker's connection, as any NATS client makes it. Permission errors are collected. */
    async worker({ expiresAt = Date.now() + 3_600_000, user = createUser() }: { expiresAt?: number; user?: KeyPair } = {}) {
      const nkey = user.getPublicKey();
      const jwt = await workerJwt(credentials, nkey, expiresAt);
      const connection = await connect({
        servers: `${host}:${server.port}`,
        authenticator: jwtAuthenticator(jwt, user.getSeed()),
        inboxPrefix: `_INBOX.${nkey}`,
        tls,
        reconnect: false,
      });
      open.push(connection);
      return { nkey, user, jwt, connection };
    },
    async stop() {
      await Promise.all(open.map((connection) => connection.close()));
      await server.stop();
      rmSync(root, { recursive: true, force: true });
    },
  };
}
export type Rig = Awaited<ReturnType<typeof natsRig>>;

export function frame(header: unknown, body: Uint8Array = new Uint8Array(0)): Uint8Array {
  return Buffer.concat([encodeFramePrefix(header, body.byteLength, WORKER_FRAME_LIMITS), body]);
}

export function unframe(data: Uint8Array): { ok: boolean; output?: unknown; error?: { code: string; params: object } } {
  const [whole] = new FrameDecoder(WORKER_FRAME_LIMITS).push(data);
  return whole?.header as ReturnType<typeof unframe>;
}
