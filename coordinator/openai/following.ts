import type { JobIntake, MadeOfShard } from '../../core/contract/jobs.ts';
import type { JobStatus } from '../../core/contract/network.ts';

/** Whoever waits for jobs, told of each by its id. */
export interface Following {
  /** `onOver` is called once, when the job has ended in whatever way. To be called before the job is submitted. */
  follow(jobId: string, events: { onMade?: (made: MadeOfShard) => void; onOver: (job: JobStatus) => void }): () => void;
  close(): void;
}

export function createFollowing(intake: Pick<JobIntake, 'onJob' | 'onMade'>): Following {
  const followed = new Map<string, Parameters<Following['follow']>[1]>();
  const leave = [
    intake.onJob((job) => {
      if (job.state !== 'queued' && job.state !== 'running') followed.get(job.id)?.onOver(job);
    }),
    // A generation is one shard.
    intake.onMade((made) => followed.get(made.shardId.slice(0, made.shardId.lastIndexOf('.')))?.onMade?.(made)),
  ];
  return {
    follow(jobId, events) {
      const own = {
        ...events,
        onOver: (job: JobStatus) => {
          if (followed.get(jobId) !== own) return;
          followed.delete(jobId);
          events.onOver(job);
        },
      };
      followed.set(jobId, own);
      return () => {
        if (followed.get(jobId) === own) followed.delete(jobId);
      };
    },
    close() {
      for (const each of leave) each();
      followed.clear();
    },
  };
}
