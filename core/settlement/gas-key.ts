import { readFileSync, statSync } from 'node:fs';
import { Interface, Transaction, Wallet } from 'ethers';
import { z } from 'zod';
import artifact from '../../resources/contracts/HearthlendEscrow.json' with { type: 'json' };
import { HearthlendError } from '../contract/errors.ts';
import { storageError } from '../contract/storage-error.ts';
import type { TransactionSigner, UnsignedTransaction } from './sender.ts';

const MAX_FILE_BYTES = 4096;
const DAY_MS = 86_400_000;
const abi = new Interface(artifact.abi);
/** All that it may call: whoever has it can send claims, which pay their payees whoever sends them. */
const CLAIMS = new Set(['claim', 'claimMany'].map((name) => abi.getFunction(name)?.selector));

const GasKeyFile = z.strictObject({ version: z.literal(1), address: z.string(), privateKey: z.string().regex(/^0x[0-9a-f]{64}$/) });

export interface GasKeyOptions {
  path: string;
  /** Puts a file there, whole and durable, readable by its owner alone; false where there is one already. */
  putNew(path: string, text: string): boolean;
  /** What may be spent on fees within a day, in base units of the chain's native token. */
  capPerDay(): bigint;
  /** The escrow contracts that may be called, by chain, lower case. */
  escrows(): ReadonlyMap<number, string>;
  clock(): number;
}

/**
 * The key that pays for automatic claims. It lies in a 0600 file in plain, since nobody is there to unlock it: so it may do nothing but claim, for no
 * more than a day's cap, and nothing but fees belongs on it. Made at its first use.
 * @throws GAS_KEY_INVALID, DISK_FULL, DATA_DIR_UNWRITABLE
 */
export function openGasKey({ path, putNew, capPerDay, escrows, clock }: GasKeyOptions): TransactionSigner {
  const wallet = new Wallet(readKey(path) ?? makeKey(path, putNew));
  /** What was signed for, by nonce: of several under one nonce only one can be mined. Times in ms since 1970. */
  const spent = new Map<string, { at: number; costs: bigint }>();

  return {
    address: wallet.address,
    async sign(transaction) {
      refuseOthers(transaction, escrows());
      const { chainId, nonce, gasLimit, maxFeePerGas } = transaction;
      const now = clock();
      for (const [key, { at }] of spent) if (now - at > DAY_MS) spent.delete(key);
      const key = `${chainId} ${nonce}`;
      const others = [...spent].filter(([other]) => other !== key).reduce((sum, [, { costs }]) => sum + costs, 0n);
      const costs = gasLimit * maxFeePerGas;
      const cap = capPerDay();
      if (others + costs > cap) throw new HearthlendError('GAS_CAP_REACHED', { cost: (others + costs).toString(), cap: cap.toString() });
      spent.set(key, { at: now, costs });
      return serialise(wallet, transaction);
    },
  };
}

/** An EIP-1559 transaction, signed. */
function serialise(wallet: Wallet, { chainId, nonce, to, data, value, ...fees }: UnsignedTransaction): Promise<string> {
  return wallet.signTransaction(Transaction.from({ type: 2, chainId, nonce, to, data, value, ...fees }));
}

function refuseOthers({ chainId, to, data, value }: UnsignedTransaction, escrows: ReadonlyMap<number, string>): void {
  const refused = (detail: string) => new HearthlendError('TRANSACTION_REFUSED', { detail });
  if (value !== 0n) throw refused('it pays something out');
  if (to === null || escrows.get(chainId) !== to.toLowerCase()) throw refused(`${to} is not the escrow of chain ${chainId}`);
  if (!CLAIMS.has(data.slice(0, 10))) throw refused('it is no claim');
}

function readKey(path: string): string | null {
  const invalid = (detail: string) => new HearthlendError('GAS_KEY_INVALID', { path, detail });
  let text: string;
  try {
    const found = statSync(path, { throwIfNoEntry: false });
    if (found === undefined) return null;
    if (!found.isFile() || found.size > MAX_FILE_BYTES) throw invalid('it is no gas key');
    if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) throw invalid('others can read it; chmod 600 puts that right');
    text = readFileSync(path, 'utf8');
  } catch (thrown) {
    throw storageError(path, thrown);
  }
  try {
    const { address, privateKey } = GasKeyFile.parse(JSON.parse(text));
    if (new Wallet(privateKey).address === address) return privateKey;
  } catch {
    // Said below without what was in it.
  }
  throw invalid('it is damaged');
}

function makeKey(path: string, putNew: GasKeyOptions['putNew']): string {
  const { address, privateKey } = Wallet.createRandom();
  if (putNew(path, `${JSON.stringify({ version: 1, address, privateKey }, null, 2)}\n`)) return privateKey;
  // Another has just made one.
  const made = readKey(path);
  if (made === null) throw new HearthlendError('GAS_KEY_INVALID', { path, detail: 'it is gone' });
  return made;
}
