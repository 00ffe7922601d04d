import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { ContactName } from '../../core/contract/sending.ts';
import { reachAgent } from '../agent/reach.ts';
import type { Context, ExitCode } from './command.ts';

export async function runContactsList({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  const reach = await reachAgent(world, dataDir);
  try {
    const contacts = await reach.client.call('payments.contacts', {});
    if (contacts.length === 0) terminal.text(message('cli.wallet.no-contacts'));
    for (const contact of contacts) {
      terminal.emit({ event: 'contact', ...contact });
      terminal.text(message('cli.wallet.contact-added', { ...contact }));
    }
  } finally {
    await reach.close();
  }
  return 0;
}

/** Adds a contact; one of that name gets this address. */
export async function runContactsAdd({ world, terminal, dataDir }: Context, typed: string, address: string): Promise<ExitCode> {
  const name = checkedName(typed);
  const reach = await reachAgent(world, dataDir);
  try {
    const contact = await reach.client.call('payments.contact-put', { name, address });
    terminal.emit({ event: 'contact', ...contact });
    terminal.text(message('cli.wallet.contact-added', { ...contact }));
  } finally {
    await reach.close();
  }
  return 0;
}

export async function runContactsRemove({ world, terminal, dataDir }: Context, typed: string): Promise<ExitCode> {
  const name = checkedName(typed);
  const reach = await reachAgent(world, dataDir);
  try {
    const contact = await reach.client.call('payments.contact-remove', { name });
    terminal.emit({ event: 'contact-removed', ...contact });
    terminal.text(message('cli.wallet.contact-removed', { name: contact.name }));
  } finally {
    await reach.close();
  }
  return 0;
}

function checkedName(typed: string): string {
  const name = ContactName.safeParse(typed);
  if (!name.success) throw new HearthlendError('USAGE', { detail: message('cli.usage.contact-name') });
  return name.data;
}
