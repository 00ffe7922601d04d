import { z } from 'zod';
import { MessageRef } from './messages.ts';
import { Amount, AssetId } from './money.ts';
import { Address } from './receipt.ts';

/** What the agent knows of the wallet, none of it secret. */
export const WalletStatus = z.strictObject({
  /** `own`: its key lies here, encrypted. `watch`: an address of a wallet elsewhere. `none`: neither. */
  kind: z.enum(['none', 'own', 'watch']),
  /** With its EIP-55 checksum; null for `none`. */
  address: Address.nullable(),
  unlocked: z.boolean(),
  /** ms since 1970; null while it is locked. */
  locksAt: z.int().nullable(),
  /** Whether the recovery words were confirmed, or the wallet came from outside. */
  backedUp: z.boolean(),
  /** Whether there are recovery words: a wallet imported by its key has none. */
  hasWords: z.boolean(),
  /** Where what this start of the agent earns is to be paid. A wallet made while it runs is named from the next start on. */
  payee: Address,
  /** Whether the signer can reach no network; `reason` where it could. */
  offline: z.strictObject({ sealed: z.boolean(), reason: MessageRef.nullable() }),
});
export type WalletStatus = z.infer<typeof WalletStatus>;

/** What may leave the wallet of an asset within 24 hours, and what has, in base units. What is not listed may not leave at all. */
export const SpendLimit = z.strictObject({ asset: AssetId, perDay: Amount, spent: Amount });
export type SpendLimit = z.infer<typeof SpendLimit>;
export const MAX_SPEND_LIMITS = 200;
