import { message } from '../../core/contract/messages.ts';
import type { OperatorView } from '../../core/contract/operator-page.ts';
import { say } from '../words/say.ts';

/** How the network stands, in words, and why: what asks for the operator comes first. */
export function operatorHeadline({ status }: OperatorView): { title: string; why: string; asks: boolean } {
  const { workers, jobs, shards, escrow } = status;
  const counts = { connected: workers.connected, waiting: (jobs.queued ?? 0) + (jobs.running ?? 0), shards: shards.queued ?? 0 };
  const title = message('operator.title', counts);
  if (escrow !== null && escrow.trouble !== null) return { title, why: say(escrow.trouble), asks: true };
  if (workers.joined === 0) return { title: message('operator.title.nobody'), why: message('operator.why.nobody'), asks: true };
  if (workers.suspended > 0) return { title, why: message('operator.why.suspended', { suspended: workers.suspended }), asks: true };
  return { title, why: message(workers.connected === 0 ? 'operator.why.away' : 'operator.why.well'), asks: false };
}
