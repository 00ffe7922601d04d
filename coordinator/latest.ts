import type { JobIntake } from '../core/contract/jobs.ts';
import { shareCalls } from '../core/contract/sharing.ts';
import type { WorkerService } from './service.ts';
import type { AttemptKey, Store } from './store.ts';

/**
 * A service that looks again, once it has seen all that the network had recorded, before it says no: whoever asks may have been answered by another
 * coordinator a moment ago, and be ahead of what is known here.
 * @param caughtUp resolves when everything that any coordinator had recorded at the call is seen here
 */
export function serveLatest(service: WorkerService, store: Store, caughtUp: () => Promise<void>): WorkerService {
  const latest = shareCalls(caughtUp);
  const knowing = async (key: AttemptKey) => {
    if ((await store.attempt(key)) === null) await latest();
  };
  return {
    ...service,
    async connect(worker, holds) {
      if (holds !== undefined) await latest();
      return service.connect(worker, holds);
    },
    async progress(worker, key, fraction, made) {
      await knowing(key);
      return service.progress(worker, key, fraction, made);
    },
    async exchange(worker, key, step, outputs, how) {
      await knowing(key);
      return service.exchange(worker, key, step, outputs, how);
    },
    async submit(worker, submission, outputs) {
      await knowing(submission);
      return service.submit(worker, submission, outputs);
    },
    async release(worker, key, reason, failure) {
      await knowing(key);
      return service.release(worker, key, reason, failure);
    },
    async receiptsSince(worker, sequence, limit) {
      await latest();
      return service.receiptsSince(worker, sequence, limit);
    },
    async pendingBatches(worker, options) {
      await latest();
      return service.pendingBatches(worker, options);
    },
    async countersign(worker, last, signature) {
      if ((await store.batch(worker.address, last)) === null) await latest();
      return service.countersign(worker, last, signature);
    },
    async mayRead(worker, digest) {
      if (await service.mayRead(worker, digest)) return true;
      await latest();
      return service.mayRead(worker, digest);
    },
  };
}

/** The same for the requester's side. */
export function takeInLatest(intake: JobIntake, store: Store, caughtUp: () => Promise<void>): JobIntake {
  const latest = shareCalls(caughtUp);
  const knowing = async (id: string) => {
    if ((await store.job(id)) === null) await latest();
  };
  return {
    ...intake,
    async job(id) {
      await knowing(id);
      return intake.job(id);
    },
    async cancelJob(id) {
      await knowing(id);
      return intake.cancelJob(id);
    },
    async outputs(id) {
      await knowing(id);
      return intake.outputs(id);
    },
    async outputBlobs(id) {
      await knowing(id);
      return intake.outputBlobs(id);
    },
  };
}
