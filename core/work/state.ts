import { type MessageRef, ref } from '../contract/messages.ts';
import type { AgentState } from '../contract/snapshot.ts';

/** What the agent's one state is read from. Times in ms since 1970. */
export interface WorkFacts {
  started: boolean;
  stopping: boolean;
  /** Something without which no work may be taken; the words say what. */
  fault: MessageRef | null;
  paused: { until: number | null } | null;
  /** The machine sleeps, or is about to. */
  suspended: boolean;
  /** The machine is being measured, and ordinary work is set aside. */
  measuring: boolean;
  /** The worker failed too often in a row; next try. */
  backingOff: { until: number; failures: number } | null;
  current: { origin: 'practice' | 'own' | 'network'; network: string } | null;
  /** Why no network lends work; null while one does. */
  noWork: MessageRef | null;
  now: number;
}

/** The one state, reason and time of change that a person reads. Pure; `since` is kept by the caller while name and reason stay. */
export function describeState(facts: WorkFacts): Omit<AgentState, 'since'> {
  if (facts.stopping) return { name: 'stopping', reason: ref('reason.stopping'), until: null };
  if (!facts.started) return { name: 'starting', reason: ref('reason.starting'), until: null };
  // A full disk is waited out; everything else that stops work needs somebody.
  if (facts.fault !== null)
    return { name: facts.fault.key === 'reason.disk-full' ? 'waiting' : 'failed', reason: facts.fault, until: null };
  if (facts.suspended) return { name: 'paused', reason: ref('reason.suspended'), until: null };
  if (facts.measuring) return { name: 'paused', reason: ref('reason.measuring'), until: null };
  if (facts.paused !== null) {
    const { until } = facts.paused;
    return { name: 'paused', reason: ref(until === null ? 'reason.paused-by-you' : 'reason.paused-until'), until };
  }
  if (facts.backingOff !== null) {
    const { failures, until } = facts.backingOff;
    const seconds = Math.max(1, Math.ceil((until - facts.now) / 1000));
    return { name: 'waiting', reason: ref('reason.worker-backing-off', { count: failures, seconds }), until };
  }
  if (facts.current !== null) {
    const { origin, network } = facts.current;
    if (origin === 'practice') return { name: 'working', reason: ref('reason.practising'), until: null };
    if (origin === 'own') return { name: 'working', reason: ref('reason.own-job'), until: null };
    return { name: 'working', reason: ref('reason.network-work', { network }), until: null };
  }
  if (facts.noWork?.key === 'no-work.practice-over') return { name: 'proven', reason: ref('reason.proven'), until: null };
  if (facts.noWork !== null) return { name: 'waiting', reason: ref('reason.no-work'), until: null };
  return { name: 'starting', reason: ref('reason.starting'), until: null };
}
