import { lstatSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { WalletClaim } from '../contract/delegation.ts';
import { Sha256 } from '../contract/digest.ts';
import { HearthlendError } from '../contract/errors.ts';
import { JoinReply, WorkerNkey } from '../contract/joining.ts';
import { NetworkChoices } from '../contract/networks.ts';
import { Address } from '../contract/receipt.ts';
import { NetworkId } from '../contract/shard.ts';
import { storageError } from '../contract/storage-error.ts';
import { nkeyOf } from './keys.ts';

const WorkerKeys = { nkey: WorkerNkey, seed: z.string().regex(/^SU[A-Z2-7]{56}$/) };

/** Everything that this machine has of a network it joined, its key included. */
export const JoinedNetwork = z.strictObject({
  type: z.literal('hearthlend network'),
  version: z.literal(1),
  id: NetworkId,
  ...WorkerKeys,
  /** The worker that it knows this machine as, and whom it pays; where left out, the present one has never been another. */
  worker: Address.optional(),
  payee: Address.optional(),
  /** What this machine is to connect with once it is known there under its new worker key. */
  following: z.strictObject(WorkerKeys).optional(),
  /** Whom its receipts may name besides the present payee: this machine joined with them, or its wallet named them. */
  payees: z.array(Address).max(16).optional(),
  /** What the wallet said of the worker, and the network is still to be told. */
  claims: z.array(WalletClaim).max(16).optional(),
  fingerprint: Sha256,
  joinedAt: z.int(),
  /** What the network's clock was ahead of this one when they last spoke (ms). */
  aheadMs: z.int(),
  access: JoinReply.omit({ now: true }),
  choices: NetworkChoices,
});
export type JoinedNetwork = z.infer<typeof JoinedNetwork>;

const MAX_FILE_BYTES = 1 << 20;
const MAX_NETWORKS = 64;

/** A file that could not be read, with what is wrong with it. It stays as it is. */
export interface BrokenRecord {
  path: string;
  error: HearthlendError;
}

/** The networks that were joined, one file (0600) each in a folder of their own. */
export class Records {
  readonly #folder: string;
  readonly #write: (path: string, text: string) => void;
  readonly #all = new Map<string, JoinedNetwork>();
  readonly broken: BrokenRecord[] = [];

  /** @param write puts a file (0600) there, whole and durable or not at all. @throws DATA_DIR_UNWRITABLE */
  constructor(folder: string, write: (path: string, text: string) => void) {
    this.#folder = folder;
    this.#write = write;
    for (const name of namesIn(folder)) {
      const path = join(folder, name);
      try {
        const record = readRecord(path);
        if (`${record.id}.json` !== name) throw invalid(path, `it is of the network ${record.id}`);
        this.#all.set(record.id, record);
      } catch (thrown) {
        this.broken.push({ path, error: thrown instanceof HearthlendError ? thrown : invalid(path, (thrown as Error).message) });
      }
    }
  }

  all(): JoinedNetwork[] {
    return [...this.#all.values()].sort((a, b) => a.joinedAt - b.joinedAt);
  }

  get(id: string): JoinedNetwork | undefined {
    return this.#all.get(id);
  }

  /** @throws DISK_FULL, DATA_DIR_UNWRITABLE, NETWORK_TOO_MANY */
  put(record: JoinedNetwork): void {
    if (!this.#all.has(record.id) && this.#all.size >= MAX_NETWORKS) throw new HearthlendError('NETWORK_TOO_MANY', { limit: MAX_NETWORKS });
    try {
      mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    } catch (thrown) {
      throw storageError(this.#folder, thrown);
    }
    this.#write(this.#path(record.id), `${JSON.stringify(JoinedNetwork.parse(record), null, 2)}\n`);
    this.#all.set(record.id, record);
  }

  /** Its key is gone with it. @throws DATA_DIR_UNWRITABLE */
  remove(id: string): void {
    try {
      rmSync(this.#path(id), { force: true });
    } catch (thrown) {
      throw storageError(this.#path(id), thrown);
    }
    this.#all.delete(id);
  }

  #path(id: string): string {
    return join(this.#folder, `${id}.json`);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'));
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw storageError(folder, thrown);
  }
}

/** Errors say nothing of what was read: it holds the key. */
function readRecord(path: string): JoinedNetwork {
  const found = lstatSync(path);
  if (!found.isFile() || found.size > MAX_FILE_BYTES) throw invalid(path, 'it is no file of a network');
  if (process.platform !== 'win32' && (found.mode & 0o077) !== 0) {
    throw new HearthlendError('IDENTITY_EXPOSED', { path, mode: (found.mode & 0o777).toString(8) });
  }
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    throw invalid(path, 'it is not JSON');
  }
  const record = JoinedNetwork.safeParse(content);
  if (!record.success) throw invalid(path, `its ${record.error.issues[0]?.path.join('.') || 'content'} is malformed`);
  const { following = null } = record.data;
  if (following !== null && nkeyOf(following.seed) !== following.nkey) throw invalid(path, 'its next key is not the one that it names');
  if (nkeyOf(record.data.seed) !== record.data.nkey) throw invalid(path, 'its key is not the one that it names');
  return record.data;
}

function invalid(path: string, detail: string): HearthlendError {
  return new HearthlendError('NETWORK_RECORD_INVALID', { path, detail });
}
