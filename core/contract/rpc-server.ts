import { asHearthlendError, HearthlendError } from './errors.ts';
import { CALLS, type CallTable, type RpcMessage, RpcRequest, type Scope } from './rpc.ts';

/**
 * The agent's end, the same for every transport: checks name, scope and input against the table, calls the handler, checks the output.
 * Never throws: a request that can't be read is answered under its id, or under none (undefined) where it has no id.
 */
export async function answer(
  handlers: Readonly<Record<string, (input: never) => Promise<unknown>>>,
  scope: Scope,
  raw: unknown,
  table: CallTable = CALLS,
): Promise<RpcMessage | undefined> {
  const request = RpcRequest.safeParse(raw);
  if (!request.success) return undefined;
  const { id, call, input } = request.data;
  try {
    const definition = Object.hasOwn(table, call) ? table[call] : undefined;
    if (definition === undefined) throw new HearthlendError('RPC_UNKNOWN_CALL', { call });
    if (definition.scope === 'owner' && scope !== 'owner') throw new HearthlendError('RPC_FORBIDDEN', { call });
    const parsed = definition.input.safeParse(input);
    if (!parsed.success) throw new HearthlendError('RPC_INVALID', { call, detail: parsed.error.issues[0]?.message ?? '' });
    const handler = handlers[call] as (input: unknown) => Promise<unknown>;
    return { id, ok: true, output: definition.output.parse(await handler(parsed.data)) };
  } catch (thrown) {
    const { code, params } = asHearthlendError(thrown);
    return { id, ok: false, error: { code, params } };
  }
}
