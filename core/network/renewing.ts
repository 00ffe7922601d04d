import { asHearthlendError, type HearthlendError } from '../contract/errors.ts';
import { JOIN_PATHS, renewText } from '../contract/joining.ts';
import { askForAccess } from './granting.ts';
import { signText } from './keys.ts';
import type { JoinedNetwork } from './records.ts';

/** Renewed when less than this share of its time is left, and looked at so often at least. */
const LEFT_SHARE = 1 / 3;
const LONGEST_LOOK_MS = 6 * 3_600_000;
const SHORTEST_LOOK_MS = 1000;
const RETRY_MS = 60_000;

interface RenewingOptions {
  record(): JoinedNetwork;
  save(record: JoinedNetwork): void;
  clock(): number;
}

export interface Renewing {
  start(): void;
  /** Now. Null where there is a new one, else why not; it is tried again in time. */
  renew(): Promise<HearthlendError | null>;
  stop(): void;
}

/** Keeps the JWT of a joined network from running out: it is asked for anew by HTTPS, by a signature of the key that it is for. */
export function createRenewing({ record, save, clock }: RenewingOptions): Renewing {
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  let grantedAt = clock();
  let renewing: Promise<HearthlendError | null> | null = null;

  function plan(ms: number): void {
    clearTimeout(timer);
    if (stopped) return;
    timer = ms > LONGEST_LOOK_MS ? setTimeout(planNext, LONGEST_LOOK_MS) : setTimeout(() => void renew(), Math.max(ms, SHORTEST_LOOK_MS));
    timer.unref();
  }

  /** When a third of its time is left, by this machine's clock. */
  function planNext(): void {
    const { access, aheadMs } = record();
    const ends = access.expiresAt - aheadMs;
    plan(ends - Math.max(0, ends - grantedAt) * LEFT_SHARE - clock());
  }

  function renew(): Promise<HearthlendError | null> {
    renewing ??= ask()
      .then(
        () => {
          planNext();
          return null;
        },
        (thrown: unknown) => {
          plan(RETRY_MS);
          return asHearthlendError(thrown);
        },
      )
      .finally(() => {
        renewing = null;
      });
    return renewing;
  }

  async function ask(): Promise<void> {
    const before = record();
    const { id, nkey, seed } = before;
    const at = clock() + before.aheadMs;
    const request = { nkey, at, signature: signText(seed, renewText(id, { nkey, at })) };
    const granted = await askForAccess(before, JOIN_PATHS.renew, request, clock);
    grantedAt = clock();
    save({ ...record(), ...granted });
  }

  return {
    start: planNext,
    renew,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
