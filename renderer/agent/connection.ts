import { asHearthlendError } from '../../core/contract/errors.ts';
import type { Transport } from '../../core/contract/rpc-client.ts';
import type { Link } from './app-state.ts';

/** What this shell opens a transport with. Rejects where nobody answers; `refused` where the agent won't let this page in. */
export type Open = () => Promise<Transport | 'refused'>;

/** What a page calls: an agent, or another program's table. */
interface Client {
  onClose(listener: () => void): () => void;
  close(): void;
}

export interface Connection<C> {
  /** The client while connected, else null. */
  client(): C | null;
  /** Tries at once instead of when the pause is over; also after a refusal, when there is something new to try with. */
  retry(): void;
}

export interface ConnectionPorts<C> {
  open: Open;
  create(transport: Transport): C;
  onLink(link: Link): void;
  /** A connection was made: asks for the snapshot. Rejects where it can't be had. */
  onClient(client: C): Promise<void>;
}

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 10_000;

/** The pause before the next try: doubling, bounded, and spread so that several pages don't knock at once. `random` in [0, 1). */
export function pauseMs(failures: number, random: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(failures, 16)) * (0.8 + 0.4 * random);
}

/** Connects, and connects again whenever the connection is lost, until refused. */
export function connect<C extends Client>({ open, create, onLink, onClient }: ConnectionPorts<C>): Connection<C> {
  let client: C | null = null;
  let failures = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let trying = false;

  function retryLater(): void {
    const waitMs = pauseMs(failures, Math.random());
    failures += 1;
    onLink({ name: 'lost', retryAt: Date.now() + waitMs });
    clearTimeout(timer);
    timer = setTimeout(attempt, waitMs);
  }

  async function attempt(): Promise<void> {
    if (trying || client !== null) return;
    trying = true;
    clearTimeout(timer);
    if (failures > 0) onLink({ name: 'lost', retryAt: null });
    try {
      const transport = await open();
      if (transport === 'refused') {
        onLink({ name: 'refused' });
        return;
      }
      await greet(create(transport));
    } catch {
      // Nobody answered. The link says so, and the next try is on its way.
      retryLater();
    } finally {
      trying = false;
    }
  }

  async function greet(fresh: C): Promise<void> {
    let lost = false;
    let broken = false;
    client = fresh;
    fresh.onClose(() => {
      lost = true;
      client = null;
      if (!broken && !trying) retryLater();
    });
    try {
      await onClient(fresh);
      failures = 0;
    } catch (thrown) {
      if (lost) throw thrown;
      broken = true;
      fresh.close();
      client = null;
      onLink({ name: 'broken', error: asHearthlendError(thrown) });
      return;
    }
    // Lost in the very moment of success, while `trying` kept onClose from acting.
    if (lost) retryLater();
  }

  void attempt();
  return {
    client: () => client,
    retry: () => {
      void attempt();
    },
  };
}
