import { join, resolve } from 'node:path';
import { message } from '../../core/contract/messages.ts';
import { pinnedAuthority } from '../../core/network/joining.ts';
import { askCoordinator } from '../operator/reach.ts';
import { OPERATOR_FOLDER } from '../operator/request.ts';
import { alignColumns } from '../terminal/columns.ts';
import type { Context, ExitCode } from './command.ts';
import { writeNewFile } from './new-file.ts';

const folderOf = ({ dataDir }: Context) => join(dataDir, OPERATOR_FOLDER);

/** A key for somebody who sends work, and what they need to know beside it. Its secret is told this once. */
export async function runCoordinatorKeyCreate(
  context: Context,
  { name, budget, caOut }: { name: string; budget: string | null; caOut: string | null },
): Promise<ExitCode> {
  const { terminal } = context;
  const { key, secret, https, fingerprint } = await askCoordinator(folderOf(context), 'addkey', { name, budget });
  const [address = ''] = https;
  const network = `${address}#sha256=${fingerprint}`;
  if (caOut !== null) {
    const path = resolve(context.world.cwd, caOut);
    writeNewFile(path, await pinnedAuthority({ at: new URL(address).host, fingerprint }));
    terminal.text(message('coordinator.key.authority', { path }));
  }
  terminal.emit({ event: 'key', ...key, secret, network, address: `${address}/v1` });
  terminal.text(message('cli.key.created', { name: key.name }));
  terminal.text(secret);
  terminal.text('');
  terminal.text(message('coordinator.key.requester', { network }));
  terminal.text(message('coordinator.key.openai', { address: `${address}/v1` }));
  return 0;
}

export async function runCoordinatorKeyList(context: Context): Promise<ExitCode> {
  const { terminal } = context;
  const { keys } = await askCoordinator(folderOf(context), 'keys', {});
  for (const key of keys) terminal.emit(key);
  if (keys.length === 0) {
    terminal.text(message('coordinator.key.none'));
    return 0;
  }
  const header = (['cli.key.id', 'cli.key.name', 'cli.key.since', 'coordinator.key.budget', 'coordinator.key.spent'] as const).map((each) =>
    message(each),
  );
  const rows = keys.map(({ id, name, createdAt, budget, spent }) => [id, name, new Date(createdAt).toISOString(), budget ?? '', spent]);
  const [head = '', ...body] = alignColumns([header, ...rows], [3, 4]);
  for (const line of [terminal.bold(head), ...body]) terminal.text(line);
  return 0;
}

/** From then on nothing that is sent under it is answered. */
export async function runCoordinatorKeyRemove(context: Context, wanted: string): Promise<ExitCode> {
  const key = await askCoordinator(folderOf(context), 'dropkey', { key: wanted });
  context.terminal.emit({ event: 'removed', ...key });
  context.terminal.text(message('cli.key.removed', { name: key.name }));
  return 0;
}
