import type { z } from 'zod';
import { errorOf, HearthlendError } from './errors.ts';
import { CALLS, type CallTable, EVENTS, RpcMessage } from './rpc.ts';

/** What carries messages: a WebSocket, Electron IPC. `onMessage` and `onClose` are set once, before the first `send`. */
export interface Transport {
  send(message: unknown): void;
  onMessage(listener: (message: unknown) => void): void;
  onClose(listener: () => void): void;
  close(): void;
}

export interface TableClient<C extends CallTable, E extends Readonly<Record<string, z.ZodType>>> {
  call<N extends keyof C & string>(name: N, input: z.input<C[N]['input']>): Promise<z.output<C[N]['output']>>;
  on<N extends keyof E & string>(name: N, listener: (data: z.output<E[N]>) => void): () => void;
  onClose(listener: () => void): () => void;
  close(): void;
}

export type RpcClient = TableClient<typeof CALLS, typeof EVENTS>;

/** The caller's end towards an agent. */
export function createRpcClient(transport: Transport): RpcClient {
  return createTableClient(transport, CALLS, EVENTS);
}

/** The caller's end, the same for every transport. Outputs and events are checked against the table; a lost connection rejects all calls. */
export function createTableClient<C extends CallTable, E extends Readonly<Record<string, z.ZodType>>>(
  transport: Transport,
  calls: C,
  events: E,
): TableClient<C, E> {
  let nextId = 1;
  let closed = false;
  const waiting = new Map<number, { name: string; resolve: (output: never) => void; reject: (error: Error) => void }>();
  const listeners = new Map<string, Set<(data: never) => void>>();
  const closeListeners = new Set<() => void>();

  transport.onMessage((raw) => {
    const message = RpcMessage.safeParse(raw);
    if (!message.success) return;
    if ('event' in message.data) {
      const { event, data } = message.data;
      const schema = Object.hasOwn(events, event) ? events[event] : undefined;
      const parsed = schema?.safeParse(data);
      if (parsed?.success) for (const listener of listeners.get(event) ?? []) listener(parsed.data as never);
      return;
    }
    const call = waiting.get(message.data.id);
    if (call === undefined) return;
    waiting.delete(message.data.id);
    if (message.data.ok) {
      const output = (calls[call.name] as CallTable[string]).output.safeParse(message.data.output);
      if (output.success) call.resolve(output.data as never);
      else call.reject(new HearthlendError('RPC_INVALID', { call: call.name, detail: output.error.issues[0]?.message ?? '' }));
    } else {
      const { code, params } = message.data.error;
      call.reject(errorOf(code, params));
    }
  });
  transport.onClose(() => {
    closed = true;
    for (const call of waiting.values()) call.reject(new HearthlendError('RPC_DISCONNECTED'));
    waiting.clear();
    for (const listener of closeListeners) listener();
  });

  return {
    call: (name, input) =>
      new Promise((resolve, reject) => {
        if (closed) {
          reject(new HearthlendError('RPC_DISCONNECTED'));
          return;
        }
        const id = nextId;
        nextId += 1;
        waiting.set(id, { name, resolve: resolve as (output: never) => void, reject });
        transport.send({ id, call: name, input });
      }),
    on: (name, listener) => {
      const set = listeners.get(name) ?? new Set();
      listeners.set(name, set);
      set.add(listener as (data: never) => void);
      return () => set.delete(listener as (data: never) => void);
    },
    onClose: (listener) => {
      closeListeners.add(listener);
      return () => closeListeners.delete(listener);
    },
    close: () => transport.close(),
  };
}
