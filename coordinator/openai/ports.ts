import type { JobIntake } from '../../core/contract/jobs.ts';
import type { ServedModels } from '../../core/contract/serving.ts';
import type { Log } from '../log.ts';
import type { Following } from './following.ts';
import type { RequestLimits } from './limits.ts';

/** What answering requests needs of a coordinator and of the agent's side. */
export interface RequestPorts {
  intake: Pick<JobIntake, 'submitJob' | 'job' | 'jobs' | 'cancelJob' | 'outputs' | 'onJob' | 'onMade'>;
  models: ServedModels;
  /** Who holds this secret; null for nobody. */
  requesterOf(secret: string): Promise<{ id: string; name: string } | null>;
  /** The jobs run on the machine that they come to: where an answer ends early, so does its job. */
  ownMachine: boolean;
  /** ms since 1970. */
  clock: () => number;
  log: Log;
  limits: RequestLimits;
}

/** One request being answered. */
export interface Asking {
  ports: RequestPorts;
  following: Following;
  requester: { id: string };
  /** Aborted when who asked is gone, or this machine closes. */
  signal: AbortSignal;
}
