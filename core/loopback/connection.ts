import type { WebSocket } from 'ws';
import type { AnyEvent, Handlers, Scope } from '../contract/rpc.ts';
import { type Calls, openCalls } from '../contract/rpc-calls.ts';
import { type AuthenticateReply, AuthenticateRequest } from '../contract/session.ts';
import type { Access } from './access.ts';
import { createCallRate } from './call-rate.ts';
import type { LoopbackLimits } from './limits.ts';

/** What a connection is served from. */
export interface Served {
  access: Access;
  /** One caller who was let in, from its first message on. `send` takes what can be JSON. */
  open(scope: Scope, send: (message: unknown) => void): Pick<Calls, 'receive' | 'end'>;
}

/** The agent's table of calls, and its events once somebody asks for `app.watch`. */
export function servingCalls(
  handlers: Handlers,
  events: (listener: (event: AnyEvent) => void) => () => void,
  callsInFlight: number,
): Served['open'] {
  return (scope, send) => openCalls({ handlers, events, scope, callsInFlight, send });
}

/** Close codes of ours, from the range that RFC 6455 leaves to programs. */
const CLOSE_MALFORMED = 4400;
const CLOSE_UNAUTHENTICATED = 4401;
const CLOSE_TOO_MANY_CALLS = 4429;

/**
 * One WebSocket from its opening to its end: the first message says who it is, the others are calls. Who sends rubbish, too much, or doesn't read, is
 * closed.
 */
export function serveConnection(socket: WebSocket, caller: 'program' | 'page', served: Served, limits: LoopbackLimits): void {
  let calls: ReturnType<Served['open']> | undefined;
  const withinRate = createCallRate(limits);

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
    const reply: AuthenticateReply = { authenticated: true, token: admitted.token };
    send(reply);
    calls = served.open(admitted.scope, send);
  }

  socket.on('message', (data, isBinary) => {
    if (socket.readyState !== socket.OPEN) return;
    let raw: unknown;
    try {
      if (isBinary) throw new TypeError('binary');
      raw = JSON.parse(data.toString());
    } catch {
      if (calls === undefined) refuse();
      else socket.close(CLOSE_MALFORMED);
      return;
    }
    if (calls === undefined) authenticate(raw);
    else if (!withinRate(performance.now())) socket.close(CLOSE_TOO_MANY_CALLS);
    else
      void calls.receive(raw).then((outcome) => {
        if (outcome !== 'answered') socket.close(outcome === 'malformed' ? CLOSE_MALFORMED : CLOSE_TOO_MANY_CALLS);
      });
  });
  // ws closes the socket itself after an error (an oversize or malformed frame, a lost connection): 'close' follows.
  socket.on('error', () => undefined);
  socket.on('close', () => {
    clearTimeout(deadline);
    calls?.end();
  });
}
