import { type MessageRef, ref } from '../contract/messages.ts';
import type { Decision } from '../contract/policy.ts';
import type { AgentState } from '../contract/snapshot.ts';

/** What the agent's one state is read from. Times in ms since 1970. */
export interface WorkFacts {
  started: boolean;
  stopping: boolean;
  /** Something without which no work may be taken; the words say what. */
  fault: MessageRef | null;
  /** What the rules, the user and the machine's sleep make of it; null until that is decided. */
  decision: Decision | null;
  /** It is to pause, and what runs may end first. */
  finishing: boolean;
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
  const { decision } = facts;
  if (facts.finishing) return { name: 'working', reason: ref('policy.finishing'), until: null };
  if (decision?.act === 'pause') return { name: 'paused', reason: decision.reason, until: decision.until };
  if (facts.backingOff !== null) {
    const { failures, until } = facts.backingOff;
    const seconds = Math.max(1, Math.ceil((until - facts.now) / 1000));
    return { name: 'waiting', reason: ref('reason.worker-backing-off', { count: failures, seconds }), until };
  }
  if (facts.current !== null) {
    const { origin, network } = facts.current;
    // Less than everything, or against a rule: that is what somebody wants to know.
    if (decision !== null && (decision.act === 'throttle' || decision.overridden.length > 0)) {
      return { name: 'working', reason: decision.reason, until: decision.until };
    }
    if (origin === 'practice') return { name: 'working', reason: ref('reason.practising'), until: null };
    if (origin === 'own') return { name: 'working', reason: ref('reason.own-job'), until: null };
    return { name: 'working', reason: ref('reason.network-work', { network }), until: null };
  }
  if (facts.noWork?.key === 'no-work.practice-over') return { name: 'proven', reason: ref('reason.proven'), until: null };
  if (facts.noWork !== null) {
    // Where there is work, and something keeps it from here, that is what somebody wants to know.
    const none = facts.noWork.key === 'no-work.queue-empty' || facts.noWork.key === 'no-work.lease-held';
    return { name: 'waiting', reason: none ? ref('reason.no-work') : facts.noWork, until: null };
  }
  return { name: 'starting', reason: ref('reason.starting'), until: null };
}
