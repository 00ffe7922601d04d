import type { AnyEvent, Handlers, RpcMessage, Scope } from './rpc.ts';
import { RpcRequest } from './rpc.ts';
import { answer } from './rpc-server.ts';

export interface CallsOptions {
  handlers: Handlers;
  events(listener: (event: AnyEvent) => void): () => void;
  scope: Scope;
  /** How many calls may wait for their answers at once. */
  callsInFlight: number;
  send(message: RpcMessage): void;
}

export interface Calls {
  /** Takes one message of the caller and sends the answer. `malformed` and `too-many` are not answered: who sends such is no client of ours. */
  receive(raw: unknown): Promise<'answered' | 'malformed' | 'too-many'>;
  /** Whether events are sent: from the first `app.watch` on. */
  watching(): boolean;
  /** Sends no more events. */
  end(): void;
}

/** One caller from its first message to its last, the same for every transport: its calls, and its events once it has asked for them. */
export function openCalls({ handlers, events, scope, callsInFlight, send }: CallsOptions): Calls {
  let inFlight = 0;
  let stopWatching: (() => void) | undefined;

  /** Events that happen while the snapshot is being made are held back until it is sent. */
  function watch(): () => void {
    if (stopWatching !== undefined) return () => undefined;
    let held: AnyEvent[] | undefined = [];
    stopWatching = events((event) => {
      if (held === undefined) send(event);
      else held.push(event);
    });
    return () => {
      for (const event of held ?? []) send(event);
      held = undefined;
    };
  }

  return {
    async receive(raw) {
      const request = RpcRequest.safeParse(raw);
      if (!request.success) return 'malformed';
      if (inFlight >= callsInFlight) return 'too-many';
      inFlight += 1;
      const reply = answer(handlers, scope, request.data);
      const release = request.data.call === 'app.watch' ? watch() : undefined;
      const message = await reply;
      if (message !== undefined) send(message);
      release?.();
      inFlight -= 1;
      return 'answered';
    },
    watching: () => stopWatching !== undefined,
    end: () => stopWatching?.(),
  };
}
