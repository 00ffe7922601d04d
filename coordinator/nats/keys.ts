import { createAccount, createOperator, createUser, encodeAccount, encodeOperator, encodeUser, fromSeed, type KeyPair } from '@nats-io/jwt';
import { z } from 'zod';
import type { WorkerNkey } from '../../core/contract/joining.ts';
import { answeringUser, storeAccount, storeUser, systemAccount, updatingUser, workersAccount, workerUser } from './claims.ts';

const seed = (kind: 'O' | 'A') => z.string().regex(new RegExp(`^S${kind}[A-Z2-7]{56}$`));

/** What a coordinator needs of a NATS cluster: for each of its two accounts its public key, and a key that signs its users. */
export const NatsCredentials = z.strictObject({
  type: z.literal('hearthlend nats credentials'),
  version: z.literal(1),
  /** Workers, and what answers them. */
  workers: z.strictObject({ account: z.string().regex(/^A[A-Z2-7]{55}$/), signingKey: seed('A') }),
  /** JetStream: the network's queue and state. */
  store: z.strictObject({ account: z.string().regex(/^A[A-Z2-7]{55}$/), signingKey: seed('A') }),
});
export type NatsCredentials = z.infer<typeof NatsCredentials>;

/** The keys of a NATS server that a coordinator runs by itself. */
export const ServerKeys = z.strictObject({
  type: z.literal('hearthlend nats keys'),
  version: z.literal(1),
  operator: seed('O'),
  system: seed('A'),
  workers: seed('A'),
  store: seed('A'),
});
export type ServerKeys = z.infer<typeof ServerKeys>;

/** What lets a program into NATS: proof of a key, and a JWT about it. */
export interface NatsLogin {
  jwt: string;
  /** Seed of the user's key. It lives as long as this process. */
  seed: Uint8Array;
}

/** Operator mode of a server: JWTs of the operator and its three accounts, by public key. */
export interface ServerJwts {
  operator: string;
  systemAccount: string;
  /** The one whose JWT changes. */
  workersAccount: string;
  accounts: Record<string, string>;
}

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (pair: KeyPair): string => new TextDecoder().decode(pair.getSeed());
const publicOf = (text: string): string => fromSeed(bytesOf(text)).getPublicKey();

export function newServerKeys(): ServerKeys {
  const [operator, system, workers, store] = [createOperator(), createAccount(), createAccount(), createAccount()].map(textOf);
  return ServerKeys.parse({ type: 'hearthlend nats keys', version: 1, operator, system, workers, store });
}

/** What another coordinator needs of these: not the operator's key. */
export function credentialsOf({ workers, store }: ServerKeys): NatsCredentials {
  return {
    type: 'hearthlend nats credentials',
    version: 1,
    workers: { account: publicOf(workers), signingKey: workers },
    store: { account: publicOf(store), signingKey: store },
  };
}

/**
 * The JWTs of a server. The operator's is the same each time, since a running server takes no other.
 * @returns asked with when each worker was revoked, seconds since 1970
 */
export async function serverJwts(
  keys: ServerKeys,
  workerConnections: number,
): Promise<(revocations: Readonly<Record<WorkerNkey, number>>) => Promise<ServerJwts>> {
  const operator = fromSeed(bytesOf(keys.operator));
  const account = async (name: string, seed: string, claims: Parameters<typeof encodeAccount>[2]) => {
    const pair = fromSeed(bytesOf(seed));
    return [pair.getPublicKey(), await encodeAccount(name, pair, claims, { signer: operator })] as const;
  };
  const system = await account('system', keys.system, systemAccount());
  const store = await account('store', keys.store, storeAccount());
  const operatorJwt = await encodeOperator('hearthlend', operator, { system_account: system[0] });
  return async (revocations) => {
    const workers = await account('workers', keys.workers, workersAccount(workerConnections, revocations));
    return {
      operator: operatorJwt,
      systemAccount: system[0],
      workersAccount: workers[0],
      accounts: Object.fromEntries([system, workers, store]),
    };
  };
}

type Signing = NatsCredentials['workers'];

async function userJwt(
  name: string,
  user: KeyPair | string,
  { account, signingKey }: Signing,
  claims: object,
  expiresAt?: number,
): Promise<string> {
  const signer = fromSeed(bytesOf(signingKey));
  const seconds = expiresAt === undefined ? {} : { exp: Math.floor(expiresAt / 1000) };
  // The account's own key signs without naming the account; a signing key of it names it.
  if (signer.getPublicKey() === account) return encodeUser(name, user, signer, claims, seconds);
  return encodeUser(name, user, account, claims, { ...seconds, signer });
}

/** A worker's JWT. `expiresAt`: ms since 1970, in whole seconds. */
export function workerJwt(credentials: NatsCredentials, nkey: WorkerNkey, expiresAt: number): Promise<string> {
  return userJwt(nkey, nkey, credentials.workers, workerUser(nkey), expiresAt);
}

export async function answeringLogin(credentials: NatsCredentials): Promise<NatsLogin> {
  const user = createUser();
  return { jwt: await userJwt('answering', user, credentials.workers, answeringUser()), seed: user.getSeed() };
}

/** What may tell a server that we run of the workers' new JWT. */
export async function updatingLogin({ system, workers }: ServerKeys): Promise<NatsLogin> {
  const user = createUser();
  const signing = { account: publicOf(system), signingKey: system };
  return { jwt: await userJwt('updating', user, signing, updatingUser(publicOf(workers))), seed: user.getSeed() };
}

export async function storeLogin(credentials: NatsCredentials): Promise<NatsLogin> {
  const user = createUser();
  return { jwt: await userJwt('store', user, credentials.store, storeUser()), seed: user.getSeed() };
}
