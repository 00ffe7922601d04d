import type { WebSocket } from 'ws';
import type { AnyEvent, Handlers, Scope } from '../contract/rpc.ts';
import { RpcRequest } from '../contract/rpc.ts';
import { answer } from '../contract/rpc-server.ts';
import { type AuthenticateReply, AuthenticateRequest } from '../contract/session.ts';
import type { Access } from './access.ts';
import type { LoopbackLimits } from './limits.ts';

/** What a connection is served from. */
export interface Served {
  handlers: Handlers;
  events(listener: (event: AnyEvent) => void): () => void;
  access: Access;
}

/** Close codes of ours, from the range that RFC 6455 leaves to programs. */
const CLOSE_MALFORMED = 4400;
const CLOSE_UNAUTHENTICATED = 4401;
const CLOSE_TOO_MANY_CALLS = 4429;

/**
 * One WebSocket from its opening to its end: the first message says who it is, the others are calls; events come once it has asked for
 * `app.watch`. Who sends rubbish, too much, or doesn't read, is closed.
 */
export function serveConnection(socket: WebSocket, caller: 'program' | 'page', served: Served, limits: LoopbackLimits): void {
  let scope: Scope | undefined;
  let callsInFlight = 0;
  let stopWatching: (() => void) | undefined;

  const refuse = () => {
    const reply: AuthenticateReply = { authenticated: false, error: { code: 'SESSION_REFUSED', params: {} } };
    send(reply);
    socket.close(CLOSE_UNAUTHENTICATED);
  };
  const deadline = setTimeout(refuse, limits.authenticateMs);

  function send(message: unknown): void {
    if (socket.readyState !== socket.OPEN) return;
    socket.send(JSON.stringify(message));
    // Who doesn't read would have us keep everything for it.
    if (socket.bufferedAmount > limits.bufferedBytes) socket.terminate();
  }

  function authenticate(raw: unknown): void {
    clearTimeout(deadline);
    const request = AuthenticateRequest.safeParse(raw);
    const admitted = request.success ? served.access.admit(request.data.authenticate, caller) : undefined;
    if (admitted === undefined) {
      refuse();
      return;
    }
    scope = admitted.scope;
    const reply: AuthenticateReply = { authenticated: true, token: admitted.token };
    send(reply);
  }

  /** Events that happen while the snapshot is being made are held back until it is sent. */
  function watch(): () => void {
    if (stopWatching !== undefined) return () => undefined;
    let held: AnyEvent[] | undefined = [];
    stopWatching = served.events((event) => {
      if (held === undefined) send(event);
      else held.push(event);
    });
    return () => {
      for (const event of held ?? []) send(event);
      held = undefined;
    };
  }

  async function call(raw: unknown, callerScope: Scope): Promise<void> {
    const request = RpcRequest.safeParse(raw);
    if (!request.success) {
      socket.close(CLOSE_MALFORMED);
      return;
    }
    if (callsInFlight >= limits.callsInFlight) {
      socket.close(CLOSE_TOO_MANY_CALLS);
      return;
    }
    callsInFlight += 1;
    const reply = answer(served.handlers, callerScope, request.data);
    const release = request.data.call === 'app.watch' ? watch() : undefined;
    send(await reply);
    release?.();
    callsInFlight -= 1;
  }

  socket.on('message', (data, isBinary) => {
    if (socket.readyState !== socket.OPEN) return;
    let raw: unknown;
    try {
      if (isBinary) throw new TypeError('binary');
      raw = JSON.parse(data.toString());
    } catch {
      if (scope === undefined) refuse();
      else socket.close(CLOSE_MALFORMED);
      return;
    }
    if (scope === undefined) authenticate(raw);
    else void call(raw, scope);
  });
  // ws closes the socket itself after an error (an oversize or malformed frame, a lost connection): 'close' follows.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearTimeout(deadline);
    stopWatching?.();
  });
}
