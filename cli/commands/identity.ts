import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { z } from 'zod';
import { ANY_NETWORK, DelegationRevocation, PayeeChange, WalletSignature, WorkerDelegation } from '../../core/contract/delegation.ts';
import { typedData } from '../../core/contract/delegation-hash.ts';
import type { Bytes32 } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { ClaimWish, IdentityClaim, IdentityStatus } from '../../core/contract/identity.ts';
import { message } from '../../core/contract/messages.ts';
import { createWalletClient } from '../../core/contract/wallet-client.ts';
import { type Reach, withAgent } from '../agent/reach.ts';
import { withProgress } from '../terminal/terminal.ts';
import type { Context, ExitCode } from './command.ts';
import { writeNewFile } from './new-file.ts';
import { askPassword, openAnswers } from './wallet-answers.ts';

const MAX_FILE_CHARACTERS = 64 * 1024;

/** How the wallet is to sign: here, or elsewhere in two steps. */
export interface SigningOptions {
  /** Write what is to be signed there, and sign nothing. */
  out: string | null;
  /** What was signed elsewhere, and the signature. */
  signed: { file: string; signature: string } | null;
  yes: boolean;
  passwordStdin: boolean;
}

export async function runIdentityShow({ world, terminal, dataDir }: Context): Promise<ExitCode> {
  return withAgent({ world, dataDir }, async ({ client }) => {
    const status = await client.call('identity.show', {});
    terminal.emit({ event: 'identity', ...status });
    for (const line of statusLines(status)) terminal.text(line);
  });
}

/** Has the wallet sign that the worker earns for it. */
export async function runIdentityDelegate(context: Context, wish: ClaimWish, options: SigningOptions): Promise<ExitCode> {
  const { world, terminal, dataDir } = context;
  return withAgent({ world, dataDir }, async (reach) => {
    const status = await signedClaim(context, reach, wish, options);
    if (status === null) return;
    terminal.emit({ event: 'identity', ...status });
    for (const line of statusLines(status)) terminal.text(line);
  });
}

/** Has the wallet sign that it takes that back. `revocationOut`: where the signed revocation goes; null: stdout alone. */
export async function runIdentityRevoke(context: Context, options: SigningOptions, revocationOut: string | null): Promise<ExitCode> {
  const { world, terminal, dataDir } = context;
  return withAgent({ world, dataDir }, async (reach) => {
    const status = await signedClaim(context, reach, { kind: 'revocation' }, options);
    if (status === null) return;
    const revocation = JSON.stringify(status.revocations.at(-1));
    if (revocationOut !== null) writeNewFile(resolve(world.cwd, revocationOut), `${revocation}\n`);
    terminal.emit({ event: 'identity', ...status });
    terminal.text(message('cli.identity.revoked', { revocation }));
  });
}

const MEANS = {
  delegation: 'cli.identity.delegate-means',
  revocation: 'cli.identity.revoke-means',
  payee: 'cli.identity.payee-means',
} as const;

/** Has the wallet sign that what the worker earns is to be paid elsewhere, which networks take up after the delay in their terms. */
export async function runIdentityPayee(context: Context, wish: ClaimWish & { kind: 'payee' }, options: SigningOptions): Promise<ExitCode> {
  const { world, terminal, dataDir } = context;
  return withAgent({ world, dataDir }, async (reach) => {
    const status = await signedClaim(context, reach, wish, options);
    if (status === null) return;
    terminal.emit({ event: 'identity', ...status });
    terminal.text(message('cli.identity.payee-told'));
  });
}

/** What is known once the wallet has signed; null where it has yet to, elsewhere. */
async function signedClaim(context: Context, reach: Reach, wish: ClaimWish, options: SigningOptions): Promise<IdentityStatus | null> {
  const { terminal } = context;
  const { client } = reach;
  if (options.signed !== null) return client.call('identity.keep', signedElsewhere(context, options.signed, wish.kind));
  const claim = await client.call('identity.prepare', wish);
  if (options.out !== null) {
    writeToSign(context, options.out, claim);
    return null;
  }
  return whileUnlocked(context, reach, options, async () => {
    const seen = await shownByWallet(context, reach, claim);
    terminal.text(message(MEANS[wish.kind]));
    await confirm(context, options.yes);
    return client.call('identity.sign', { claim, seen });
  });
}

/** What a wallet elsewhere is to sign goes into a new file. */
export function writeToSign({ world, terminal }: Context, out: string, claim: IdentityClaim): void {
  const path = resolve(world.cwd, out);
  writeNewFile(path, `${JSON.stringify(typedData(claim), null, 2)}\n`);
  const { wallet } = claim.kind === 'delegation' ? claim.delegation : claim.kind === 'payee' ? claim.change : claim.revocation;
  terminal.emit({ event: 'to-sign', path, wallet });
  terminal.text(message('cli.identity.to-sign', { path, wallet }));
}

/** What was signed elsewhere. @throws FILE_UNREADABLE, USAGE, DELEGATION_INVALID */
export function signedElsewhere<K extends IdentityClaim['kind']>(
  { world }: Context,
  { file, signature }: { file: string; signature: string },
  kind: K,
) {
  const claim = readClaim(resolve(world.cwd, file), kind) as Extract<IdentityClaim, { kind: K }>;
  return { claim, signature: checkedSignature(signature) };
}

/** Does something with the wallet here, unlocked for as long as that takes. @throws USAGE where it is elsewhere */
export async function whileUnlocked<T>(
  { world, terminal }: Context,
  { client }: Reach,
  { passwordStdin }: Pick<SigningOptions, 'passwordStdin'>,
  work: () => Promise<T>,
): Promise<T> {
  const { kind, unlocked } = await client.call('wallet.status', {});
  if (kind === 'watch') throw new HearthlendError('USAGE', { detail: message('cli.usage.identity-watch') });
  if (kind === 'own' && !unlocked) {
    const password = await askPassword(await openAnswers(world.keyboard, passwordStdin), 'cli.wallet.ask.password');
    await withProgress(terminal, () => message('cli.progress.wallet'), createWalletClient(client.call).unlock(password));
  }
  try {
    return await work();
  } finally {
    if (!unlocked) await client.call('wallet.lock', {}).catch(() => undefined);
  }
}

/** Says what the wallet's signer reads of it, and gives what its yes is to. */
export async function shownByWallet({ terminal }: Context, { client }: Reach, claim: IdentityClaim): Promise<Bytes32> {
  const { words, seen } = await client.call('identity.describe', { claim });
  terminal.text(message('cli.wallet.send-words', { words: message(words.key, words.params) }));
  return seen;
}

/** @throws CANCELLED, USAGE where nobody can be asked */
export async function confirm({ world }: Context, yes: boolean): Promise<void> {
  if (yes) return;
  if (!world.keyboard.present) throw new HearthlendError('USAGE', { detail: message('cli.usage.identity-yes') });
  const answer = await world.keyboard.ask(message('cli.identity.ask'), { secret: false });
  if (!/^y(es)?$/i.test(answer.trim())) throw new HearthlendError('CANCELLED');
}

/** Numbers stand in typed data as decimal text. */
const Numbers = z
  .string()
  .regex(/^\d{1,16}$/)
  .transform(Number);
const SignedElsewhere = z.object({ message: z.record(z.string(), z.unknown()) });
const DelegationMessage = z
  .strictObject({ ...WorkerDelegation.shape, notBefore: Numbers, expiry: Numbers, nonce: Numbers })
  .pipe(WorkerDelegation);
const PayeeMessage = z.strictObject({ ...PayeeChange.shape, nonce: Numbers }).pipe(PayeeChange);
const RevocationMessage = z.strictObject({ ...DelegationRevocation.shape, nonce: Numbers }).pipe(DelegationRevocation);

/** @throws FILE_UNREADABLE, USAGE where it is not what was written with --out */
function readClaim(path: string, kind: IdentityClaim['kind']): IdentityClaim {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new HearthlendError('FILE_UNREADABLE', { path, detail: (cause as Error).message }, { cause });
  }
  try {
    if (text.length > MAX_FILE_CHARACTERS) throw new Error('too large');
    const said = SignedElsewhere.parse(JSON.parse(text)).message;
    if (kind === 'delegation') return { kind, delegation: DelegationMessage.parse(said) };
    if (kind === 'payee') return { kind, change: PayeeMessage.parse(said) };
    return { kind, revocation: RevocationMessage.parse(said) };
  } catch {
    throw new HearthlendError('USAGE', { detail: message('cli.usage.identity-file', { path }) });
  }
}

function checkedSignature(typed: string): string {
  const signature = WalletSignature.safeParse(typed.trim().toLowerCase());
  if (!signature.success) throw new HearthlendError('DELEGATION_INVALID', { detail: 'the signature is not 0x and hex digits' });
  return signature.data;
}

export function statusLines({ worker, payee, delegation, fault }: IdentityStatus): string[] {
  const lines = [message('cli.identity.worker', { worker }), message('cli.identity.payee', { payee })];
  if (delegation === null) return [...lines, message('cli.identity.none')];
  const { wallet, networkKey, expiry } = delegation.delegation;
  const until = new Date(expiry * 1000).toISOString();
  const anywhere = networkKey === ANY_NETWORK ? 'yes' : 'no';
  lines.push(message('cli.identity.delegated', { wallet, anywhere, network: networkKey, until }));
  return fault === null ? lines : [...lines, message('cli.identity.fault', { fault })];
}
