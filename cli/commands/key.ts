import { message } from '../../core/contract/messages.ts';
import type { CallOutput } from '../../core/contract/rpc.ts';
import { withAgent } from '../agent/reach.ts';
import { alignColumns } from '../terminal/columns.ts';
import type { Context, ExitCode } from './command.ts';

/** A new key for programs of this machine. Its secret is told this once. */
export async function runKeyCreate(context: Context, name: string): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    const { terminal } = context;
    const { key, secret, address, port, problem } = await client.call('key.create', { name });
    terminal.emit({ event: 'key', ...key, secret, address, port, problem });
    terminal.text(message('cli.key.created', { name: key.name }));
    terminal.text(secret);
    terminal.text(addressText({ address, port, problem }));
  });
}

export async function runKeyList(context: Context): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    const { terminal } = context;
    const { keys, ...where } = await client.call('key.list', {});
    for (const key of keys) terminal.emit(key);
    if (keys.length === 0) terminal.text(message('cli.key.none'));
    else {
      const header = (['cli.key.id', 'cli.key.name', 'cli.key.since'] as const).map((each) => message(each));
      const rows = keys.map(({ id, name, createdAt }) => [id, name, new Date(createdAt).toISOString()]);
      const [head = '', ...body] = alignColumns([header, ...rows]);
      for (const line of [terminal.bold(head), ...body, '', addressText(where)]) terminal.text(line);
    }
  });
}

/** From then on nothing that is sent under it is answered. */
export async function runKeyRemove(context: Context, wanted: string): Promise<ExitCode> {
  return withAgent(context, async ({ client }) => {
    const key = await client.call('key.remove', { key: wanted });
    context.terminal.emit({ event: 'removed', ...key });
    context.terminal.text(message('cli.key.removed', { name: key.name }));
  });
}

/** Where a program is to send its work, or why it can't just now. */
function addressText({ address, port, problem }: Omit<CallOutput<'key.list'>, 'keys'>): string {
  if (address !== null) return message('cli.key.address', { address });
  if (problem !== null) return message('cli.key.problem', { port: String(port), problem });
  return message('cli.key.later', { address: `http://127.0.0.1:${port}/v1` });
}
