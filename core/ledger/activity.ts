import type { Database, Statement } from 'better-sqlite3';
import { canonicalJson } from '../contract/digest.ts';
import { MessageRef } from '../contract/messages.ts';
import { Freed, type PauseRecord } from '../contract/policy.ts';
import type { DaySpan } from '../contract/snapshot.ts';
import type { Entry, KeptMessage } from './entry.ts';

/** Work that starts again within this time continues the stretch before it: nobody's day is a comb. */
const JOIN_MS = 60_000;

/** As many stretches as a snapshot may carry; a day with more shows its last ones. */
const MAX_SPANS = 2000;

interface Span {
  id: number;
  kind: 'worked' | 'aside';
  fromAt: number;
  /** Null while it goes on. */
  toAt: number | null;
  reason: string | null;
  /** Attempts that run in it now. */
  running: number;
  sealed: number;
  lastEntry: number;
  /** Of one set aside: see the entry `agent.yielded`. */
  yieldMs: number | null;
  freed: string | null;
}

const NOTHING_YIELDED = { yieldMs: null, freed: null };

type Moment = Pick<Entry, 'sequence' | 'at'>;

/** The stretches of time that were worked through or set aside, derived from the entries. */
export class Activity {
  /** The stretch of work that goes on, as it was last changed; span null: there is none. Undefined: it has to be read. */
  #held: { span: Span | null; changed: boolean } | undefined;
  readonly #byId: Statement<[number], Span>;
  readonly #unsealed: Statement<[], Span>;
  readonly #open: Statement<[], Span>;
  readonly #put: Statement<[Span]>;
  readonly #between: Statement<[{ start: number; end: number; limit: number }], Span>;
  readonly #lastAside: Statement<[], Span>;
  readonly #pauses: Statement<[{ start: number; end: number; limit: number }], Span>;

  constructor(db: Database) {
    this.#byId = db.prepare('SELECT * FROM spans WHERE id = ?');
    this.#unsealed = db.prepare('SELECT * FROM spans WHERE sealed = 0 ORDER BY id DESC LIMIT 1');
    this.#open = db.prepare('SELECT * FROM spans WHERE toAt IS NULL ORDER BY id');
    this.#put = db.prepare(
      'INSERT OR REPLACE INTO spans VALUES (@id, @kind, @fromAt, @toAt, @reason, @running, @sealed, @lastEntry, @yieldMs, @freed)',
    );
    this.#between = db.prepare(`
      SELECT * FROM spans WHERE toAt IS NULL AND fromAt < @end
      UNION ALL SELECT * FROM spans WHERE toAt > @start AND fromAt < @end
      ORDER BY fromAt DESC, id DESC LIMIT @limit`);
    this.#lastAside = db.prepare("SELECT * FROM spans WHERE kind = 'aside' ORDER BY id DESC LIMIT 1");
    this.#pauses = db.prepare(`
      SELECT * FROM spans WHERE kind = 'aside' AND fromAt < @end AND (toAt IS NULL OR toAt > @start) ORDER BY id DESC LIMIT @limit`);
  }

  /** An attempt starts to run. @returns the stretch that it belongs to */
  begin({ sequence, at }: Moment): number {
    const last = this.#stretch();
    if (last !== null && (last.toAt === null || at - last.toAt < JOIN_MS)) {
      this.#held = { span: { ...last, toAt: null, running: last.running + 1, lastEntry: sequence }, changed: true };
      return last.id;
    }
    if (last !== null) this.#put.run({ ...last, sealed: 1, lastEntry: sequence });
    const begun = {
      id: sequence,
      kind: 'worked',
      fromAt: at,
      toAt: null,
      reason: null,
      running: 1,
      sealed: 0,
      lastEntry: sequence,
    } as const;
    this.#held = { span: { ...begun, ...NOTHING_YIELDED }, changed: true };
    return sequence;
  }

  /** Writes the stretch that goes on. Belongs at the end of the transaction in which it was changed. */
  settle(): void {
    const held = this.#held;
    if (held?.span != null && held.changed) this.#put.run(held.span);
    if (held !== undefined) this.#held = { ...held, changed: false };
  }

  /** The transaction in which it was changed came to nothing. */
  forget(): void {
    this.#held = undefined;
  }

  /** The stretch of work that the next attempt would continue: attempts come by the hundred, and it is written once. */
  #stretch(): Span | null {
    this.#held ??= { span: this.#unsealed.get() ?? null, changed: false };
    return this.#held.span;
  }

  /** What follows changes other stretches as well, where they are kept. */
  #release(): void {
    this.settle();
    this.#held = undefined;
  }

  /** An attempt runs no more. One that a crash ended was ended by `closeAll` already. */
  end(spanId: number | null, { sequence, at }: Moment): void {
    const held = this.#stretch();
    const span = spanId === null ? undefined : held?.id === spanId ? held : this.#byId.get(spanId);
    if (span === undefined || span.running === 0) return;
    const running = span.running - 1;
    const after = { ...span, running, toAt: running === 0 ? Math.max(span.fromAt, at) : null, lastEntry: sequence };
    if (span === held) this.#held = { span: after, changed: true };
    else this.#put.run(after);
  }

  setAside(reason: KeptMessage, { sequence, at }: Moment): void {
    this.#release();
    this.resume({ sequence, at });
    const last = this.#unsealed.get();
    if (last !== undefined) this.#put.run({ ...last, sealed: 1, lastEntry: sequence });
    this.#put.run({
      id: sequence,
      kind: 'aside',
      fromAt: at,
      toAt: null,
      reason: canonicalJson(reason),
      running: 0,
      sealed: 1,
      lastEntry: sequence,
      ...NOTHING_YIELDED,
    });
  }

  /** What the pause that is or was last gave back. */
  yielded({ sequence, body }: Entry<'agent.yielded'>): void {
    this.#release();
    const last = this.#lastAside.get();
    if (last !== undefined) this.#put.run({ ...last, yieldMs: body.yieldMs, freed: canonicalJson(body.freed), lastEntry: sequence });
  }

  resume({ sequence, at }: Moment): void {
    this.#release();
    for (const span of this.#open.all()) {
      if (span.kind === 'aside') this.#put.run({ ...span, toAt: Math.max(span.fromAt, at), lastEntry: sequence });
    }
  }

  /** The agent starts or stops: whatever went on ended at `at`, and nothing continues it. */
  closeAll(at: number, sequence: number): void {
    this.#release();
    const last = this.#unsealed.get();
    if (last !== undefined) this.#put.run({ ...last, sealed: 1, lastEntry: sequence });
    for (const span of this.#open.all()) {
      this.#put.run({ ...span, toAt: Math.max(span.fromAt, at), running: 0, lastEntry: sequence });
    }
  }

  /** What lies between two times, cut to them, oldest first. What still goes on lasts until `nowMs`. */
  between(startMs: number, endMs: number, nowMs: number): DaySpan[] {
    return this.#between
      .all({ start: startMs, end: endMs, limit: MAX_SPANS })
      .map(({ kind, fromAt, toAt, reason }) => ({
        from: Math.max(startMs, fromAt),
        to: Math.min(endMs, toAt ?? Math.max(fromAt, nowMs)),
        kind,
        reason: reason === null ? null : knownMessage(JSON.parse(reason)),
      }))
      .filter(({ from, to }) => to > from)
      .reverse();
  }

  /** The pauses that touch the time between two others, the last `limit` of them, oldest first. */
  pauses(startMs: number, endMs: number, limit: number): PauseRecord[] {
    return this.#pauses
      .all({ start: startMs, end: endMs, limit })
      .map(({ fromAt, toAt, reason, yieldMs, freed }) => ({
        from: fromAt,
        to: toAt,
        reason: reason === null ? null : knownMessage(JSON.parse(reason)),
        yieldMs,
        freed: freed === null ? null : Freed.parse(JSON.parse(freed)),
      }))
      .reverse();
  }
}

/** A kept message as far as today's catalogue still has it. */
export function knownMessage(kept: unknown): MessageRef | null {
  const known = MessageRef.safeParse(kept);
  return known.success ? known.data : null;
}
