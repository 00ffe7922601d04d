import type { CalibrationRow } from '../../core/contract/audits.ts';
import type { InspectModel, ReferenceWorker } from '../../core/contract/jobs.ts';
import type { OperatorHandlers } from '../../core/contract/operating.ts';
import type { Context } from '../context.ts';
import type { Measuring } from '../trust/measuring.ts';
import { recalibrate } from '../trust/recalibrating.ts';

/** As many as the contract takes. */
const SHOWN_APPEALS = 1000;

/** What the operator's commands may ask about how far strangers' answers are trusted. */
export function trustHandlers(
  context: Pick<Context, 'store' | 'blobs' | 'clock' | 'log'>,
  tools: { reference: ReferenceWorker; inspect: InspectModel; measuring: Measuring },
): Pick<OperatorHandlers, 'calibrate' | 'appeals' | 'reinstate'> {
  const { store, clock, log } = context;
  return {
    async calibrate(choice) {
      const calibrations = await recalibrate(context, tools, choice);
      const measured = choice.workers ? await tools.measuring.measure(choice, tools.inspect) : { calibrations: [], left: [] };
      // Of what was measured both ways the later one holds.
      const own = calibrations.filter((each) => !measured.calibrations.some((other) => samePair(each, other)));
      log('info', 'calibrated', { pairs: own.length + measured.calibrations.length });
      return { calibrations: [...own, ...measured.calibrations], left: measured.left };
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

function samePair(one: CalibrationRow, other: CalibrationRow): boolean {
  return one.model === other.model && one.claimed === other.claimed && one.reference === other.reference;
}
