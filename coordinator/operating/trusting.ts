import type { InspectModel, ReferenceWorker } from '../../core/contract/jobs.ts';
import type { OperatorHandlers } from '../../core/contract/operating.ts';
import type { Context } from '../context.ts';
import { recalibrate } from '../trust/recalibrating.ts';

/** As many as the contract takes. */
const SHOWN_APPEALS = 1000;

/** What the operator's commands may ask about how far strangers' answers are trusted. */
export function trustHandlers(
  context: Pick<Context, 'store' | 'blobs' | 'clock' | 'log'>,
  tools: { reference: ReferenceWorker; inspect: InspectModel },
): Pick<OperatorHandlers, 'calibrate' | 'appeals' | 'reinstate'> {
  const { store, clock, log } = context;
  return {
    async calibrate(choice) {
      const calibrations = await recalibrate(context, tools, choice);
      log('info', 'calibrated', { models: calibrations.length });
      return { calibrations };
    },
    appeals: async () => ({ appeals: await store.appeals(SHOWN_APPEALS) }),
    async reinstate({ worker }) {
      const until = store.standing(worker).suspendedUntil;
      const suspended = until !== null && until > clock();
      if (suspended) await store.liftSuspension(worker);
      return { suspended };
    },
  };
}
