import { z } from 'zod';
import { Address, Signature } from './receipt.ts';

/** A worker's word that another key takes the place of its own: the same machine under a new one. */
export const Succession = z.strictObject({ from: Address, to: Address, signature: Signature });
export type Succession = z.infer<typeof Succession>;

/** So many keys one after the other are carried along, each with its word for the next. */
export const MAX_SUCCESSIONS = 16;
