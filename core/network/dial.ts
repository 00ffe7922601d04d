import { checkServerIdentity } from 'node:tls';
import { jwtAuthenticator, type NatsConnection, wsconnect } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { WebSocket } from 'ws';
import { HearthlendError } from '../contract/errors.ts';
import { WORKER_SUBJECTS } from '../contract/worker-calls.ts';

const DIAL_MS = 10_000;
/** A message can't be larger than a frame; nats-server takes 1 MiB. */
const MAX_MESSAGE_BYTES = 2 ** 20;
/** A server that says nothing for two of these is gone. */
const PING_MS = 20_000;

export interface DialTo {
  network: string;
  nkey: string;
  seed: string;
  jwt(): string;
  /** PEM. */
  ca: string;
  version: string;
}

/** One connection at a time: the library keeps how to connect, TCP or WebSocket, in one place for the whole process. */
let dialing: Promise<unknown> = Promise.resolve();

/**
 * Connects to one server. It is not connected again by itself. A `nats://` server is spoken to in the clear.
 * @throws NETWORK_UNREACHABLE; NETWORK_REFUSED where the server doesn't take our key; NETWORK_CERTIFICATE_WRONG
 */
export function dial(server: string, to: DialTo): Promise<NatsConnection> {
  const turn = dialing.then(() => dialNow(server, to));
  dialing = turn.catch(() => undefined);
  return turn;
}

async function dialNow(server: string, { network, nkey, seed, jwt, ca, version }: DialTo): Promise<NatsConnection> {
  const options = {
    servers: [server],
    name: `hearthlend ${version}`,
    authenticator: jwtAuthenticator(jwt, new TextEncoder().encode(seed)),
    inboxPrefix: WORKER_SUBJECTS.inboxPrefix(nkey),
    reconnect: false,
    ignoreClusterUpdates: true,
    noAsyncTraces: true,
    timeout: DIAL_MS,
    pingInterval: PING_MS,
    maxPingOut: 1,
  };
  let told: Error | null = null;
  try {
    const url = new URL(server);
    const host = url.hostname.replace(/^\[|\]$/g, '');
    if (url.protocol === 'wss:') {
      return await wsconnect({
        ...options,
        wsFactory: async (address) => ({ socket: openWebSocket(address, ca, (error) => (told = error)), encrypted: true }),
      } as Parameters<typeof wsconnect>[0]);
    }
    if (url.protocol === 'nats:') return await connect({ ...options, tls: null });
    if (url.protocol !== 'tls:') throw new HearthlendError('NETWORK_ANSWER_INVALID', { network, detail: `a server at ${url.protocol}` });
    // The library names no host to check the certificate against where that is an address.
    const tls = {
      ca,
      checkServerIdentity: (_name: string, certificate: Parameters<typeof checkServerIdentity>[1]) =>
        checkServerIdentity(host, certificate),
    };
    return await connect({ ...options, tls });
  } catch (thrown) {
    // The library says of a WebSocket no more than that there is none.
    throw dialError(network, told ?? thrown);
  }
}

/** The standard's WebSocket takes no certificate authority; this one does, and is otherwise used alike. */
function openWebSocket(address: string, ca: string, onError: (error: Error) => void): globalThis.WebSocket {
  const socket = new WebSocket(address, {
    ca,
    handshakeTimeout: DIAL_MS,
    maxPayload: MAX_MESSAGE_BYTES + 64 * 1024,
    perMessageDeflate: false,
  });
  socket.on('error', onError);
  return socket as unknown as globalThis.WebSocket;
}

const REFUSED = /authorization violation|authentication (expired|revoked)|user authentication|account authentication/i;

function dialError(network: string, thrown: unknown): HearthlendError {
  if (thrown instanceof HearthlendError) return thrown;
  const { code, message = '' } = thrown as NodeJS.ErrnoException;
  const cause = (thrown as { cause?: NodeJS.ErrnoException }).cause?.code;
  const detail = (code ?? cause ?? message).slice(0, 200);
  if (REFUSED.test(message)) return new HearthlendError('NETWORK_REFUSED', { network, detail: message.slice(0, 200) }, { cause: thrown });
  const certificate = /^(ERR_TLS|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/.test(detail) || /certificate|altnames/i.test(message);
  return new HearthlendError(certificate ? 'NETWORK_CERTIFICATE_WRONG' : 'NETWORK_UNREACHABLE', { network, detail }, { cause: thrown });
}
