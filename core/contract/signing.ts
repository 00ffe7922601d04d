import { z } from 'zod';
import { DelegationRevocation, PayeeChange, WorkerDelegation } from './delegation.ts';
import { Bytes32 } from './digest.ts';
import { Amount } from './money.ts';
import { Address } from './receipt.ts';

/** An EIP-1559 transaction as the signer is handed it; what it does is read off it there. Amounts in base units of the native token. */
const Transaction = z.strictObject({
  chainId: z.int().min(1).max(0xffff_ffff),
  nonce: z.int().min(0),
  /** Null: it makes a contract. */
  to: Address.nullable(),
  value: Amount,
  data: z.string().regex(/^0x([0-9a-fA-F]{2}){0,20000}$/),
  gasLimit: Amount,
  maxFeePerGas: Amount,
  maxPriorityFeePerGas: Amount,
});

/** All that the wallet's signer signs. Nothing in it is secret. */
export const ToSign = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('transaction'), transaction: Transaction }),
  z.strictObject({ kind: z.literal('delegation'), delegation: WorkerDelegation }),
  z.strictObject({ kind: z.literal('revocation'), revocation: DelegationRevocation }),
  z.strictObject({ kind: z.literal('payee'), change: PayeeChange }),
]);
export type ToSign = z.infer<typeof ToSign>;
export type TransactionToSign = z.infer<typeof Transaction>;

/** What the signer read off what it is to sign: keys of the message catalogue, which it doesn't carry itself. */
export const SignerWords = z.strictObject({
  key: z.enum([
    ...(['signer.send-native', 'signer.send-token', 'signer.delegate', 'signer.delegate-one', 'signer.revoke', 'signer.payee'] as const),
    ...(['signer.escrow-deploy', 'signer.escrow-deposit', 'signer.escrow-deposit-token', 'signer.escrow-approve'] as const),
    ...(['signer.escrow-thaw', 'signer.escrow-keep', 'signer.escrow-withdraw', 'signer.escrow-earmark'] as const),
    ...(['signer.escrow-thaw-earmark', 'signer.escrow-release', 'signer.escrow-authorise', 'signer.escrow-revoke'] as const),
  ]),
  params: z.record(z.string().max(32), z.union([z.string().max(200), z.number()])),
});
export type SignerWords = z.infer<typeof SignerWords>;

/** `seen` stands for the words: what is signed under it says the same. Fees and nonces are no part of it, they have limits. */
export const Described = z.strictObject({ words: SignerWords, seen: Bytes32 });
export type Described = z.infer<typeof Described>;

/** `signed`: a signature over the typed data, or the transaction with its signature, serialised. */
export const Signed = z.strictObject({ ...Described.shape, signed: z.string().regex(/^0x([0-9a-f]{2}){65,20480}$/) });
export type Signed = z.infer<typeof Signed>;
