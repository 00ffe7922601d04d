import type { SubmitReply } from '../contract/network.ts';
import type { Shard, Submission } from '../contract/shard.ts';
import type { Outputs } from './outputs.ts';
import type { AttemptEnd, AttemptKey, ConnectedNetwork, WorkPorts } from './ports.ts';

/** A result that has just been computed and is nowhere but in memory. */
export interface FreshResult {
  from: ConnectedNetwork;
  key: AttemptKey;
  shard: Shard;
  submission: Submission;
  bytes: Uint8Array;
}

/**
 * Hands in results of one network together, since what costs most is waiting for the disk: all bytes are made durable, then the entries, and only
 * then is any of them submitted. Answers are recorded in the order of their receipts. `onEnd` is called for each as it is recorded.
 * @throws what kept one from being made durable, submitted or recorded. Those without an `onEnd`, also where nothing is thrown, are put in order by `recover`.
 */
export async function deliverGroup(
  ports: WorkPorts,
  outputs: Outputs,
  group: readonly FreshResult[],
  onEnd: (result: FreshResult, end: AttemptEnd | { state: 'accepted' }) => void,
): Promise<void> {
  const { journal } = ports;
  await keepGroup(ports, outputs, group);
  const replies = await Promise.allSettled(
    group.map(({ from, submission, bytes }) => from.network.submit(submission, bytes, ports.spool.path(submission.commitment))),
  );
  const answered = group.flatMap((result, at) => {
    const reply = replies[at];
    return reply?.status === 'fulfilled' ? [{ result, reply: reply.value }] : [];
  });
  const failure = replies.find((reply) => reply.status === 'rejected');
  const done = recordAccepted(ports, answered);
  for (const { result, reply } of answered) {
    if (reply.type === 'accepted') continue;
    const end: AttemptEnd =
      reply.type === 'rejected' ? { state: 'rejected', code: reply.code, detail: reply.detail } : { state: reply.type };
    journal.ended(result.key, end);
    done.push({ result, end });
  }
  await journal.durable();
  const over = done.filter(({ end }) => end.state !== 'disputed');
  await outputs.drop(over.map(({ result }) => result.submission.commitment));
  for (const { result, end } of done) onEnd(result, end);
  if (failure !== undefined) throw failure.reason;
}

/** Makes results durable, to be handed in: at once, or when their network can be reached again. */
export async function keepGroup(ports: WorkPorts, outputs: Outputs, group: readonly FreshResult[]): Promise<void> {
  const { journal } = ports;
  await outputs.keep(
    group.map(({ submission, bytes }) => ({ digest: submission.commitment, bytes })),
    async () => {
      journal.handingIn(group.map(({ key, submission }) => ({ key, result: submission })));
      await journal.durable();
    },
  );
  for (const { shard, key } of group) ports.onChange({ type: 'computed', shard, attempt: key.attempt });
}

interface Answered {
  result: FreshResult;
  reply: SubmitReply;
}

/**
 * Records the accepted ones. Another may have the receipt before one of these: of this group, without an answer; or one that was handed in long ago
 * and answered late. Those after such a gap stay open, to be taken up with it.
 */
function recordAccepted({ journal }: WorkPorts, answered: readonly Answered[]) {
  const accepted = answered
    .flatMap(({ result, reply }) => (reply.type === 'accepted' ? [{ result, reply }] : []))
    .sort((a, b) => a.reply.receipt.sequence - b.reply.receipt.sequence);
  const network = accepted[0]?.result.from.info.id;
  let next = network === undefined ? 0 : journal.receiptHead(network) + 1;
  // One that is too low is wrong, and found out when it is recorded.
  const inOrder = accepted.filter(({ reply }) => reply.receipt.sequence < next || (reply.receipt.sequence === next && next++ > 0));
  if (inOrder.length > 0) {
    journal.accepted(inOrder.map(({ result, reply }) => ({ key: result.key, receipt: reply.receipt, audited: reply.audited })));
  }
  return inOrder.map(({ result }): { result: FreshResult; end: AttemptEnd | { state: 'accepted' } } => ({
    result,
    end: { state: 'accepted' },
  }));
}
