import { randomBytes } from 'node:crypto';
import { asHearthlendError } from '../../core/contract/errors.ts';
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

/** Tells the network's other coordinators where this one is reached, and knows where they are: a worker of one may need another tomorrow. */
export async function meetPeers(store: PeerReads & Appends<PeerChanges>, own: () => string[], clock: () => number, log: Log) {
  const id = randomBytes(8).toString('hex');
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
