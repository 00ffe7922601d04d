import { resolve } from 'node:path';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message } from '../../core/contract/messages.ts';
import { createWalletClient, type WalletClient } from '../../core/contract/wallet-client.ts';
import { type Reach, reachAgent } from '../agent/reach.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { writeNewFile } from './new-file.ts';
import { askPassword, openAnswers } from './wallet-answers.ts';
import { showWords } from './wallet-words.ts';

export interface ExportOptions {
  what: 'keystore' | 'words' | 'key';
  /** The file for the keystore; null: to stdout. */
  out: string | null;
  passwordStdin: boolean;
  reveal: boolean;
}

/** The keystore is encrypted and goes out as it is. Words and key need the password again, and a terminal or --reveal. */
export async function runWalletExport(context: Context, options: ExportOptions): Promise<ExitCode> {
  const { world, terminal, dataDir } = context;
  const reach = await reachAgent(world, dataDir);
  try {
    if (options.what === 'keystore') await exportKeystore(context, reach, options.out);
    else {
      const { kind, backedUp } = await reach.client.call('wallet.status', {});
      if (kind !== 'own') throw new HearthlendError('WALLET_MISSING');
      const password = await askPassword(await openAnswers(world.keyboard, options.passwordStdin), 'cli.wallet.ask.password');
      const wallet = createWalletClient(reach.client.call);
      const reveal = options.what === 'words' ? revealWords(wallet, password, !backedUp) : revealKey(wallet, password);
      await reveal;
    }
  } finally {
    await reach.close();
  }
  return 0;

  async function revealWords(wallet: WalletClient, password: string, mustConfirm: boolean): Promise<void> {
    const words = await withProgress(terminal, () => message('cli.progress.wallet'), wallet.words(password));
    await showWords(context, { words, reveal: options.reveal, confirm: (again) => wallet.confirm(again), mustConfirm });
    if (options.reveal) terminal.emit({ event: 'words', words: words.words });
  }

  async function revealKey(wallet: WalletClient, password: string): Promise<void> {
    if (!options.reveal && world.stdout.isTTY !== true) throw new HearthlendError('USAGE', { detail: message('cli.usage.reveal') });
    const privateKey = await withProgress(terminal, () => message('cli.progress.wallet'), wallet.key(password));
    terminal.text(privateKey);
    if (options.reveal) terminal.emit({ event: 'key', privateKey });
  }
}

async function exportKeystore({ world, terminal }: Context, { client }: Reach, out: string | null): Promise<void> {
  const { json } = await client.call('wallet.keystore', {});
  if (out === null) {
    world.stdout.write(`${json}\n`);
    return;
  }
  const path = resolve(world.cwd, out);
  writeNewFile(path, `${json}\n`);
  terminal.text(message('cli.wallet.exported', { path }));
  terminal.emit({ event: 'exported', path });
}
