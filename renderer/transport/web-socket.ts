import { HearthlendError } from '../../core/contract/errors.ts';
import type { MessageParams } from '../../core/contract/messages.ts';
import type { Transport } from '../../core/contract/rpc-client.ts';
import { AuthenticateReply, type AuthenticateRequest } from '../../core/contract/session.ts';

export type Credential = AuthenticateRequest['authenticate'];

/** What came of knocking: a way to speak and the token for coming back, or the door's no. */
export type Entry =
  | { admitted: true; transport: Transport; token: string }
  | { admitted: false; error: { code: string; params: MessageParams } };

/** A server that accepts the connection and then says nothing is as good as none. */
const ANSWER_MS = 10_000;

/**
 * Opens a WebSocket and authenticates in its first message.
 * @throws RPC_DISCONNECTED where nobody answers, or not in the agreed words
 */
export function openWebSocket(url: string, credential: Credential): Promise<Entry> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(url);
    let receive: (message: unknown) => void = enter;
    let closed: () => void = fail;
    const timer = setTimeout(fail, ANSWER_MS);

    function fail(): void {
      clearTimeout(timer);
      socket.close();
      reject(new HearthlendError('RPC_DISCONNECTED'));
    }

    function enter(message: unknown): void {
      clearTimeout(timer);
      const reply = AuthenticateReply.safeParse(message);
      if (!reply.success) {
        fail();
        return;
      }
      if (!reply.data.authenticated) {
        closed = () => undefined;
        resolve({ admitted: false, error: reply.data.error });
        return;
      }
      closed = () => undefined;
      const transport: Transport = {
        send: (request) => socket.send(JSON.stringify(request)),
        onMessage: (listener) => {
          receive = listener;
        },
        onClose: (listener) => {
          closed = listener;
        },
        close: () => socket.close(),
      };
      resolve({ admitted: true, transport, token: reply.data.token });
    }

    socket.addEventListener('open', () => socket.send(JSON.stringify({ authenticate: credential } satisfies AuthenticateRequest)));
    socket.addEventListener('message', (event) => {
      let message: unknown;
      try {
        message = JSON.parse(String(event.data));
      } catch {
        // What isn't JSON can't be trusted to be anything: the connection ends, and is made anew.
        socket.close();
        return;
      }
      receive(message);
    });
    socket.addEventListener('close', () => closed());
  });
}
