import { HearthlendError } from './contract/errors.ts';
import type { DeviceId } from './contract/policy.ts';
import type { Address } from './contract/receipt.ts';
import type { Attempt } from './ledger/attempt.ts';
import type { LedgerEvent } from './ledger/event.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { AttemptEnd, AttemptKey, OpenAttempt, WorkJournal } from './work/ports.ts';

/** An entry keeps this much of an error's detail. */
const DETAIL_CHARACTERS = 300;

interface JournalFacts {
  clock: () => number;
  readonly payee: Address;
  /** What computed an attempt; undefined where that isn't known any more. */
  device(key: AttemptKey): DeviceId | undefined;
}

/**
 * The ledger as the work loop sees it: each step of an attempt as the event that records it. The steps before its result are written together
 * in the next turn of the event loop, so that the worker isn't kept waiting for them; whatever is recorded after them takes them along.
 */
export function createJournal(ledger: Ledger, facts: JournalFacts): WorkJournal {
  let waiting: LedgerEvent[] = [];
  let due = false;

  /** Writes what waits, and then `events`: all of it, or nothing, and what waits still does. */
  function write(how: 'record' | 'recordSoon', events: readonly LedgerEvent[]): void {
    const all = [...waiting, ...events];
    if (all.length > 0) ledger[how](all);
    waiting = [];
  }
  const record = (event: LedgerEvent) => write('record', [event]);
  const soon = (events: readonly LedgerEvent[]) => write('recordSoon', events);
  function later(event: LedgerEvent): void {
    waiting.push(event);
    if (due) return;
    due = true;
    setImmediate(() => {
      due = false;
      try {
        soon([]);
      } catch {
        // It still waits, and whoever records next is told why.
      }
    });
  }
  const step = (kind: 'shard.fetched' | 'shard.running' | 'shard.submitted', { network, shardId, attempt }: AttemptKey): LedgerEvent => ({
    kind,
    at: facts.clock(),
    network,
    shardId,
    attempt,
  });
  return {
    leased({ shard, attempt, payee = facts.payee }) {
      const { network, id } = shard;
      const waits = waiting.some((each) => each.kind === 'shard.leased' && isOf(each, { network, shardId: id, attempt }));
      if (waits || ledger.attempt(network, id, attempt) !== null) throw new HearthlendError('LEASE_DOUBLED', { network, shard: id });
      const event: LedgerEvent = {
        kind: 'shard.leased',
        at: facts.clock(),
        network: shard.network,
        shardId: shard.id,
        attempt,
        jobId: shard.jobId,
        shardKind: shard.kind,
        origin: shard.origin,
        model: shard.model.digest,
        inputs: shard.inputs.digest,
        asset: shard.price.asset,
        priceUnit: shard.price.unit,
        unitPrice: shard.price.perUnit,
        payee,
      };
      later(event);
    },
    fetched: (key) => later(step('shard.fetched', key)),
    running: (key) => later(step('shard.running', key)),
    submitted: (key) => record(step('shard.submitted', key)),
    handingIn(results) {
      soon(
        results.flatMap(({ key, result: { commitment, outputBytes, units, runMs } }) => {
          const device = facts.device(key);
          const made = { outputs: commitment, outputBytes, units, runMs, ...(device === undefined ? {} : { device }) };
          return [{ kind: 'shard.computed', at: facts.clock(), ...bare(key), ...made }, step('shard.submitted', key)];
        }),
      );
    },
    accepted(answers) {
      soon(
        answers.map(({ key: { network, shardId, attempt }, receipt, audited }) => {
          if (receipt.network !== network || receipt.shardId !== shardId || receipt.attempt !== attempt) {
            throw new HearthlendError('RECEIPT_INVALID', { network, shard: shardId, detail: `it is for task ${receipt.shardId}` });
          }
          return { kind: 'shard.accepted', at: facts.clock(), receipt, audited };
        }),
      );
    },
    async durable() {
      soon([]);
      await ledger.synced();
    },
    ended: (key, end) => record(endEvent(key, end, facts.clock())),
    checkBatch: (batch, coordinator) => ledger.checkBatch(batch, coordinator),
    batchSigned({ batch, coordinatorSignature, workerSignature }, coordinator) {
      if (workerSignature === null) return;
      record({ kind: 'batch', at: facts.clock(), batch, coordinator, coordinatorSignature, workerSignature });
    },
    unfinished() {
      soon([]);
      return ledger.unfinished().map(openAttempt);
    },
    attemptState({ network, shardId, attempt }) {
      soon([]);
      return ledger.attempt(network, shardId, attempt)?.state;
    },
    receiptHead: (network) => ledger.receiptHead(network).sequence,
    lastBatched: (network) => ledger.lastBatched(network),
    receipts: (network, first, last) => ledger.receiptsOf(network, first, last),
    isAwaited: (outputs) => ledger.isAwaited(outputs),
  };
}

function isOf(event: AttemptKey, { network, shardId, attempt }: AttemptKey): boolean {
  return event.shardId === shardId && event.attempt === attempt && event.network === network;
}

function bare({ network, shardId, attempt }: AttemptKey): AttemptKey {
  return { network, shardId, attempt };
}

function endEvent({ network, shardId, attempt }: AttemptKey, end: AttemptEnd, at: number): LedgerEvent {
  const key = { at, network, shardId, attempt };
  if (end.state === 'released') return { kind: 'shard.released', ...key, reason: end.code };
  if (end.state === 'failed' || end.state === 'rejected') {
    return { kind: `shard.${end.state}`, ...key, code: end.code, detail: end.detail.slice(0, DETAIL_CHARACTERS) };
  }
  return { kind: `shard.${end.state}`, ...key };
}

function openAttempt({ network, shardId, attempt, state, outputs, outputBytes, units, runMs }: Attempt): OpenAttempt {
  const computed = outputs !== null && outputBytes !== null && units !== null && runMs !== null;
  return { network, shardId, attempt, state, result: computed ? { commitment: outputs, outputBytes, units, runMs } : null };
}
