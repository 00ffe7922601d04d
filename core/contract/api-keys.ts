import { z } from 'zod';
import { Amount } from './money.ts';

/** By which people tell their keys apart. */
export const ApiKeyName = z.string().regex(/^[\p{L}\p{N}][\p{L}\p{N} ._@-]{0,63}$/u);

/** A key under which programs send work here, without its secret. Times in ms since 1970, amounts in base units. */
export const ApiKey = z.strictObject({
  id: z.string().max(64),
  name: z.string().max(64),
  createdAt: z.int(),
  /** What all of its jobs together may cost; null: no bound. */
  budget: Amount.nullable(),
  /** What was accepted of its jobs. */
  spent: Amount,
});
export type ApiKey = z.infer<typeof ApiKey>;

/** The keys of a coordinator. Of a secret only the digest is kept. */
export interface ApiKeys {
  /** The secret is told this once. @throws API_KEYS_TOO_MANY */
  create(name: string, budget: Amount | null): Promise<{ key: ApiKey; secret: string }>;
  list(): Promise<ApiKey[]>;
  /** @param key its id or its name @throws API_KEY_UNKNOWN */
  remove(key: string): Promise<ApiKey>;
  /** Whose secret this is; null for nobody's. */
  find(secret: string): Promise<ApiKey | null>;
}
