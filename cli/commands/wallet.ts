import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { HearthlendError } from '../../core/contract/errors.ts';
import { message, messageOf } from '../../core/contract/messages.ts';
import type { WalletSecret } from '../../core/contract/signer.ts';
import type { WalletStatus } from '../../core/contract/wallet.ts';
import { createWalletClient } from '../../core/contract/wallet-client.ts';
import { reachRunning, withAgent } from '../agent/reach.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { askNewPassword, askPassword, openAnswers } from './wallet-answers.ts';
import { showWords } from './wallet-words.ts';

export async function runWalletStatus({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  return withAgent({ world, dataDir }, async ({ client }) => {
    const status = await client.call('wallet.status', {});
    terminal.emit({ event: 'wallet', ...status });
    for (const line of statusLines(status)) terminal.text(line);
  });
}

/** The address alone on its line, for other programs. @throws WALLET_MISSING */
export async function runWalletAddress({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  return withAgent({ world, dataDir }, async ({ client }) => {
    const status = await client.call('wallet.status', {});
    if (status.address === null) throw new HearthlendError('WALLET_MISSING');
    terminal.emit({ event: 'wallet', ...status });
    terminal.text(status.address);
  });
}

export interface CreateOptions {
  passwordStdin: boolean;
  /** Print the words also where nobody sits at a terminal. */
  reveal: boolean;
}

export async function runWalletCreate(context: Context, { passwordStdin, reveal }: CreateOptions): Promise<ExitCode> {
  const { world, terminal, dataDir } = context;
  return withAgent({ world, dataDir }, async ({ client }) => {
    refuseSecond(await client.call('wallet.status', {}));
    const answers = await openAnswers(world.keyboard, passwordStdin);
    const password = await askNewPassword(answers);
    const wallet = createWalletClient(client.call);
    const making = wallet.create(password);
    const { status, words } = await withProgress(terminal, () => message('cli.progress.wallet'), making);
    terminal.text(message('cli.wallet.created', { address: status.address ?? '' }));
    const shown = await showWords(context, { words, reveal, confirm: (again) => wallet.confirm(again), mustConfirm: true });
    terminal.emit({ event: 'wallet', ...(shown ?? status), ...(reveal ? { words: words.words } : {}) });
  });
}

export interface ImportOptions {
  kind: 'words' | 'key' | 'keystore';
  /** The keystore's file; null for the others. */
  file: string | null;
  replace: boolean;
  passwordStdin: boolean;
}

/** The secrets are asked for in this order, which is that of the lines of --password-stdin: what is imported, its password, the old one, the new. */
export async function runWalletImport({ world, terminal, dataDir }: Context, options: ImportOptions): Promise<ExitCode> {
  return withAgent({ world, dataDir }, async ({ client }) => {
    const status = await client.call('wallet.status', {});
    if (!options.replace || status.kind === 'watch') refuseSecond(status);
    const json = options.file === null ? '' : readKeystoreFile(resolve(world.cwd, options.file));
    const answers = await openAnswers(world.keyboard, options.passwordStdin);
    const from = await askSource();
    const oldPassword = status.kind === 'own' ? await askPassword(answers, 'cli.wallet.ask.old-password') : null;
    const password = await askNewPassword(answers);
    const importing = createWalletClient(client.call).import({ password, oldPassword, from });
    const imported = await withProgress(terminal, () => message('cli.progress.wallet'), importing);
    terminal.text(message('cli.wallet.imported', { address: imported.address ?? '' }));
    terminal.emit({ event: 'wallet', ...imported });

    async function askSource(): Promise<WalletSecret<'import'>['from']> {
      if (options.kind === 'words') return { kind: 'words', words: await askPassword(answers, 'cli.wallet.ask.words') };
      if (options.kind === 'key') return { kind: 'key', key: await askPassword(answers, 'cli.wallet.ask.key') };
      return { kind: 'keystore', json, password: await askPassword(answers, 'cli.wallet.ask.keystore-password') };
    }
  });
}

export async function runWalletUnlock({ world, terminal, dataDir }: Context, passwordStdin: boolean): Promise<ExitCode> {
  // One in this process would lock again with the command's end.
  const { client } = await reachRunning(world, dataDir);
  try {
    const password = await askPassword(await openAnswers(world.keyboard, passwordStdin), 'cli.wallet.ask.password');
    const status = await withProgress(terminal, () => message('cli.progress.wallet'), createWalletClient(client.call).unlock(password));
    terminal.text(statusLines(status)[1] ?? '');
    terminal.emit({ event: 'wallet', ...status });
  } finally {
    client.close();
  }
  return 0;
}

export async function runWalletLock({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  return withAgent({ world, dataDir }, async ({ client }) => {
    const status = await client.call('wallet.lock', {});
    terminal.text(message('cli.wallet.locked'));
    terminal.emit({ event: 'wallet', ...status });
  });
}

/** Watches an address of a wallet elsewhere; null: no more. */
export async function runWalletWatch({ world, terminal, dataDir }: Context, address: string | null): Promise<ExitCode> {
  return withAgent({ world, dataDir }, async ({ client }) => {
    const status = await client.call('wallet.watch', { address });
    terminal.text(address === null ? message('cli.wallet.unwatched') : message('cli.wallet.watched', { address: status.address ?? '' }));
    terminal.emit({ event: 'wallet', ...status });
  });
}

function refuseSecond(status: WalletStatus): void {
  if (status.address !== null) throw new HearthlendError('WALLET_EXISTS', { address: status.address });
}

function readKeystoreFile(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
}

function statusLines(status: WalletStatus): string[] {
  if (status.address === null) return [message('cli.wallet.none')];
  const lines = [message(status.kind === 'own' ? 'cli.wallet.own' : 'cli.wallet.watching', { address: status.address })];
  if (status.kind === 'own') lines.push(message(status.unlocked ? 'cli.wallet.is-unlocked' : 'cli.wallet.is-locked'));
  if (!status.backedUp) lines.push(message('cli.wallet.not-backed-up'));
  if (status.payee !== status.address) lines.push(message('cli.wallet.payee-later', { payee: status.payee }));
  const { sealed, reason } = status.offline;
  lines.push(message(sealed ? 'cli.wallet.offline' : 'cli.wallet.not-offline', { reason: reason === null ? '' : messageOf(reason) }));
  return lines;
}
