import { z } from 'zod';
import { AppealRecord } from './audits.ts';
import { JobStatus } from './network.ts';
import { CoordinatorStatus, MemberRow, OPERATOR_CALLS } from './operating.ts';

/** As many rows as the operator's page shows of each; the command line has them all. */
export const PAGE_ROWS = { workers: 200, jobs: 50, appeals: 20 } as const;

/** All that the operator's page shows. */
export const OperatorView = z.strictObject({
  status: CoordinatorStatus,
  /** Those that were last at work first, and how many there are in all. */
  workers: z.array(MemberRow).max(PAGE_ROWS.workers),
  workersInAll: z.int().min(0),
  /** Newest first, open ones before those that are over. */
  jobs: z.array(JobStatus).max(PAGE_ROWS.jobs),
  jobsInAll: z.int().min(0),
  appeals: z.array(AppealRecord).max(PAGE_ROWS.appeals),
});
export type OperatorView = z.infer<typeof OperatorView>;

const { invite, revoke, reinstate, cancel } = OPERATOR_CALLS;

/** What the operator's page may ask of its coordinator, over the loopback. */
export const PAGE_CALLS = {
  /** The view, and from then on the connection is told it anew whenever it is another. */
  'app.watch': { scope: 'screen', input: z.strictObject({}), output: OperatorView },
  'network.invite': { scope: 'screen', ...invite },
  'worker.revoke': { scope: 'screen', ...revoke },
  'worker.reinstate': { scope: 'screen', ...reinstate },
  'job.cancel': { scope: 'screen', ...cancel },
} as const;

export const PAGE_EVENTS = { view: OperatorView } as const;

export type PageHandlers = {
  [N in keyof typeof PAGE_CALLS]: (input: z.output<(typeof PAGE_CALLS)[N]['input']>) => Promise<z.output<(typeof PAGE_CALLS)[N]['output']>>;
};
