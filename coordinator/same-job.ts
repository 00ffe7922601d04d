import { HearthlendError } from '../core/contract/errors.ts';
import type { JobIntake } from '../core/contract/jobs.ts';
import type { JobStatus } from '../core/contract/network.ts';
import type { Blobs } from './blobs.ts';

/** The same job may fail or be cancelled so often before it is refused. */
const MAX_TRIES = 1000;

/** The job that was asked for before, if it runs or its outputs are there; else the name under which it would be tried next. */
export async function findSameJob(
  { job, outputBlobs }: Pick<JobIntake, 'job' | 'outputBlobs'>,
  blobs: Pick<Blobs, 'path'>,
  id: string,
): Promise<JobStatus | string> {
  for (let attempt = 1; attempt <= MAX_TRIES; attempt += 1) {
    const name = attempt === 1 ? id : `${id}-${attempt}`;
    const found = await job(name);
    if (found === null) return name;
    if (found.state === 'queued' || found.state === 'running') return found;
    if (found.state === 'done' && (await outputsAreThere(name))) return found;
  }
  throw new HearthlendError('JOB_FAILED', { job: id, detail: `it was tried ${MAX_TRIES} times` });

  async function outputsAreThere(name: string): Promise<boolean> {
    try {
      for (const { digest } of await outputBlobs(name)) await blobs.path(digest);
      return true;
    } catch {
      return false;
    }
  }
}
