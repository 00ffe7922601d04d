import { asHearthlendError, HearthlendError } from './errors.ts';
import { CALLS, type CallName, type Handlers, type RpcMessage, RpcRequest, type Scope } from './rpc.ts';

/**
 * The agent's end, the same for every transport: checks name, scope and input against the table, calls the handler, checks the output.
 * Never throws: a request that can't be read is answered under its id, or under none (undefined) where it has no id.
 */
export async function answer(handlers: Handlers, scope: Scope, raw: unknown): Promise<RpcMessage | undefined> {
  const request = RpcRequest.safeParse(raw);
  if (!request.success) return undefined;
  const { id, call, input } = request.data;
  try {
    if (!Object.hasOwn(CALLS, call)) throw new HearthlendError('RPC_UNKNOWN_CALL', { call });
    const name = call as CallName;
    const definition = CALLS[name];
    if (definition.scope === 'owner' && scope !== 'owner') throw new HearthlendError('RPC_FORBIDDEN', { call });
    const parsed = definition.input.safeParse(input);
    if (!parsed.success) throw new HearthlendError('RPC_INVALID', { call, detail: parsed.error.issues[0]?.message ?? '' });
    const handler = handlers[name] as (input: unknown) => Promise<unknown>;
    return { id, ok: true, output: definition.output.parse(await handler(parsed.data)) };
  } catch (thrown) {
    const { code, params } = asHearthlendError(thrown);
    return { id, ok: false, error: { code, params } };
  }
}
