import { checkServerIdentity, type PeerCertificate } from 'node:tls';
import { jwtAuthenticator, type NatsConnection, wsconnect } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { WebSocket } from 'ws';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { Log } from '../log.ts';
import { MAX_PAYLOAD_BYTES } from './claims.ts';
import type { NatsLogin } from './keys.ts';

const DIAL_MS = 10_000;
const AGAIN_MS = 250;
const PING_MS = 10_000;

export interface NatsAddress {
  /** `tls://`, `nats://` (in the clear) or `wss://`; all of one kind. */
  servers: readonly string[];
  /** The only authority that is trusted, PEM; null: those that the system trusts. */
  ca: string | null;
}

/**
 * Connects, and again for as long as it isn't closed, to one server or the other.
 * @throws NATS_UNREACHABLE where the first try fails
 */
export async function connectNats(address: NatsAddress, login: NatsLogin, name: string): Promise<NatsConnection> {
  const { servers, ca } = address;
  const options = {
    servers: [...servers],
    name: `hearthlend coordinator ${name}`,
    authenticator: jwtAuthenticator(login.jwt, login.seed),
    maxReconnectAttempts: -1,
    reconnectTimeWait: AGAIN_MS,
    timeout: DIAL_MS,
    pingInterval: PING_MS,
    maxPingOut: 2,
    // A server that forgets our user for a moment, at a restart, is asked again.
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
  };
  try {
    return await open(servers[0] ?? '', options, ca);
  } catch (thrown) {
    const detail = ((thrown as NodeJS.ErrnoException).code ?? (thrown as Error).message).slice(0, 300);
    throw new HearthlendError('NATS_UNREACHABLE', { url: servers.join(', '), detail }, { cause: thrown });
  }
}

function open(first: string, options: Parameters<typeof connect>[0], ca: string | null): Promise<NatsConnection> {
  const { protocol, hostname } = new URL(first);
  const trusted = ca === null ? {} : { ca };
  if (protocol === 'wss:') {
    const wsFactory = async (url: string) => {
      const bounds = { handshakeTimeout: DIAL_MS, maxPayload: 2 * MAX_PAYLOAD_BYTES, perMessageDeflate: false };
      return { socket: new WebSocket(url, { ...trusted, ...bounds }) as unknown as globalThis.WebSocket, encrypted: true };
    };
    return wsconnect({ ...options, wsFactory } as Parameters<typeof wsconnect>[0]);
  }
  if (protocol === 'nats:') return connect({ ...options, tls: null });
  // The library names no host to check the certificate against where that is an address.
  const host = hostname.replace(/^\[|\]$/g, '');
  const tls = { ...trusted, checkServerIdentity: (_name: string, certificate: PeerCertificate) => checkServerIdentity(host, certificate) };
  return connect({ ...options, tls });
}

/** Notes when a connection is lost and found again. Gives whether it is there just now. */
export function followConnection(connection: NatsConnection, name: string, log: Log): () => boolean {
  let connected = true;
  void (async () => {
    for await (const status of connection.status()) {
      if (status.type === 'disconnect') connected = false;
      if (status.type === 'reconnect') connected = true;
      if (status.type === 'disconnect' || status.type === 'reconnect') log('warn', `nats-${status.type}`, { connection: name });
      if (status.type === 'error') log('error', 'nats-error', { connection: name, detail: status.error.message.slice(0, 300) });
    }
  })();
  return () => connected && !connection.isClosed();
}
