import WebSocket from 'ws';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { RpcClient, Transport } from '../../core/contract/rpc-client.ts';
import { createRpcClient } from '../../core/contract/rpc-client.ts';
import { AuthenticateReply, type AuthenticateRequest } from '../../core/contract/session.ts';
import { type Endpoint, processAlive, readEndpoint } from '../../core/loopback/endpoint.ts';

const ANSWER_WITHIN_MS = 5000;
/** Answers are larger than requests, but bounded: a hundred problems, a few hundred jobs. */
const MAX_ANSWER_BYTES = 16 << 20;

export interface AgentConnection {
  endpoint: Endpoint;
  client: RpcClient;
}

/** Connects to the running agent of a data folder; undefined where none runs, or none that answers. */
export async function connectToAgent(dataDir: string): Promise<AgentConnection | undefined> {
  const endpoint = await readEndpoint(dataDir);
  // What a kill left behind names a process that is gone.
  if (endpoint === undefined || !processAlive(endpoint.pid)) return undefined;
  const socket = await authenticate(endpoint);
  return socket === undefined ? undefined : { endpoint, client: createRpcClient(transportOver(socket)) };
}

/** @throws AGENT_INCOMPATIBLE where the running agent is another version than this command. */
export function requireSameVersion({ endpoint }: AgentConnection, version: string): void {
  if (endpoint.version !== version) throw new HearthlendError('AGENT_INCOMPATIBLE', { running: endpoint.version, version });
}

/** An open socket that let us in; undefined where nobody answers, or another program does. */
function authenticate(endpoint: Endpoint): Promise<WebSocket | undefined> {
  return new Promise((resolve) => {
    const socket = new WebSocket(`ws://127.0.0.1:${endpoint.port}/rpc`, {
      maxPayload: MAX_ANSWER_BYTES,
      perMessageDeflate: false,
      handshakeTimeout: ANSWER_WITHIN_MS,
    });
    const giveUp = () => {
      clearTimeout(timer);
      socket.terminate();
      resolve(undefined);
    };
    const timer = setTimeout(giveUp, ANSWER_WITHIN_MS);
    socket.once('error', giveUp);
    socket.once('close', giveUp);
    socket.once('open', () => {
      const request: AuthenticateRequest = { authenticate: { token: endpoint.token } };
      socket.send(JSON.stringify(request));
    });
    socket.once('message', (data) => {
      clearTimeout(timer);
      socket.off('close', giveUp);
      const reply = AuthenticateReply.safeParse(parse(data.toString()));
      if (reply.success && reply.data.authenticated) resolve(socket);
      else giveUp();
    });
  });
}

function transportOver(socket: WebSocket): Transport {
  // The 'close' that follows every error tells the client.
  socket.on('error', () => undefined);
  return {
    send: (message) => {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(message));
    },
    onMessage: (listener) => socket.on('message', (data) => listener(parse(data.toString()))),
    onClose: (listener) => socket.on('close', () => listener()),
    close: () => socket.close(),
  };
}

/** Undefined for what is no JSON, which no schema takes. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
