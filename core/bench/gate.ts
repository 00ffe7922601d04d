import type { EmbeddedCoordinator } from '../contract/jobs.ts';
import { ref } from '../contract/messages.ts';
import type { NetworkEvent } from '../contract/network.ts';

/** When one shard was asked for, and when its result was answered (ms, this process's clock). */
interface Timing {
  leasedAt: number;
  answeredAt: number;
}

/** A coordinator behind a gate: work piles up while it is closed, and what passes is timed. */
export interface Gate {
  coordinator: EmbeddedCoordinator;
  /** Lets through everything that waits, and resolves with the timings of `count` shards once they are answered. */
  pass(count: number): Promise<Timing[]>;
}

export function createGate(inner: EmbeddedCoordinator): Gate {
  let open = false;
  let awaited = 0;
  let done: (timings: Timing[]) => void = () => undefined;
  let timings: Timing[] = [];
  const leasedAt = new Map<string, number>();
  const listeners = new Set<(event: NetworkEvent) => void>();
  return {
    coordinator: {
      ...inner,
      async lease(request) {
        if (!open) return { type: 'no-work', reason: ref('no-work.queue-empty'), retryMs: null };
        const at = performance.now();
        const reply = await inner.lease(request);
        if (reply.type === 'lease') leasedAt.set(reply.lease.shard.id, at);
        return reply;
      },
      async submit(submission, outputs, kept) {
        const reply = await inner.submit(submission, outputs, kept);
        timings.push({ leasedAt: leasedAt.get(submission.shardId) ?? Number.NaN, answeredAt: performance.now() });
        leasedAt.delete(submission.shardId);
        if (timings.length >= awaited) {
          open = false;
          done(timings);
        }
        return reply;
      },
      subscribe(listener) {
        listeners.add(listener);
        const leave = inner.subscribe(listener);
        return () => {
          listeners.delete(listener);
          leave();
        };
      },
    },
    pass(count) {
      timings = [];
      awaited = count;
      open = true;
      const { promise, resolve } = Promise.withResolvers<Timing[]>();
      done = resolve;
      for (const listener of listeners) listener({ type: 'work' });
      return promise;
    },
  };
}
