import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { asHearthlendError } from '../../core/contract/errors.ts';
import { readSecret, writeSecret } from '../files.ts';
import type { Log } from '../log.ts';
import type { Appends } from '../store.ts';

export interface PeerReads {
  /** Coordinators of the network that were heard of at `at` or later. */
  peersSince(at: number): Promise<{ id: string; urls: string[] }[]>;
}

export interface PeerChanges {
  seePeer(id: string, urls: readonly string[], at: number): void;
  losePeer(id: string): void;
}

const SAY_EVERY_MS = 60_000;
/** After three times in which nothing was heard. */
const GONE_MS = 3.5 * SAY_EVERY_MS;
/** Of each coordinator: workers try them one after the other. */
const MAX_URLS_EACH = 6;

const PeerFile = z.strictObject({ type: z.literal('hearthlend peer'), id: z.string().regex(/^[0-9a-f]{16}$/) });

/** What a folder's coordinator is known by among the network's, from one start to the next. @throws COORDINATOR_FILE_INVALID */
export function openPeerId(dir: string): string {
  const path = join(dir, 'peer.json');
  const kept = readSecret(path, PeerFile);
  if (kept !== null) return kept.id;
  const id = randomBytes(8).toString('hex');
  writeSecret(path, `${JSON.stringify({ type: 'hearthlend peer', id })}\n`);
  return id;
}

/**
 * Tells the network's other coordinators where this one is reached, and knows where they are: a worker of one may need another tomorrow.
 * @param id from openPeerId
 */
export async function meetPeers(store: PeerReads & Appends<PeerChanges>, id: string, own: () => string[], clock: () => number, log: Log) {
  let others: string[] = [];
  let known = 0;

  async function say(): Promise<void> {
    try {
      await store.seePeer(id, own().slice(0, MAX_URLS_EACH), clock());
      const peers = (await store.peersSince(clock() - GONE_MS)).filter((peer) => peer.id !== id);
      others = peers.flatMap(({ urls }) => urls);
      known = peers.length;
    } catch (thrown) {
      // They know where this one was, and are told again.
      log('warn', 'peers-not-told', { detail: asHearthlendError(thrown).message });
    }
  }

  await say();
  const saying = setInterval(() => void say(), SAY_EVERY_MS);
  return {
    /** This one's addresses, the best first, then the others'. */
    urls: (): string[] => [...own().slice(0, MAX_URLS_EACH), ...others],
    /** How many coordinators the network has, this one included. */
    count: (): number => known + 1,
    async close(): Promise<void> {
      clearInterval(saying);
      await store.losePeer(id).catch(() => undefined);
    },
  };
}
