import type { Database, Statement } from 'better-sqlite3';
import { type EarnedSums, sumsBetween } from '../contract/earned-sums.ts';

/** Every time zone's midnight lies at a whole quarter of an hour. */
export const SLOT_MS = 900_000;

/** What sums are kept of: all work, and that for one network, with one model, on one device. */
export type EarnedPart = 'all' | 'network' | 'model' | 'device';

/** Of what part, which of them (nothing where it is all), and in which asset. */
export interface EarnedKey {
  part: EarnedPart;
  name: string;
  asset: string;
}

const NOTHING: EarnedSums = {
  ...{ accepted: 0n, acceptedShards: 0, promised: 0n, paid: 0n },
  ...{ measured: 0, estimated: 0, knownShards: 0 },
};

interface Row extends EarnedKey {
  slot: number;
  accepted: string;
  acceptedShards: number;
  promised: string;
  paid: string;
  measured: number;
  estimated: number;
  knownShards: number;
  lastEntry: number;
}

/** Its sums, in their order. */
type Cells = [string, number, string, string, number, number, number];

interface Held {
  key: EarnedKey;
  slot: number;
  sums: EarnedSums;
  lastEntry: number;
  changed: boolean;
}

/** What the next transactions add to mostly: more than these are read again. */
const MAX_HELD = 512;

/** A clock that is set back by more slots than this has no slot of its own any more: what comes then counts in the earliest of the last so many. */
const MAX_LATER = 200;

/**
 * Sums from the beginning to the end of each quarter of an hour in which something was added, by asset: what came between two times is the difference of
 * two rows, whatever the time zone, and however much lies between.
 */
export class Earned {
  /** The last row of each key, written when a transaction ends. */
  readonly #held = new Map<string, Held>();
  readonly #last: Statement<[EarnedKey], Row>;
  readonly #before: Statement<[EarnedKey & { slot: number }], Row>;
  readonly #from: Statement<[EarnedKey & { slot: number }], Row>;
  readonly #until: Statement<[string, string, string, number], Cells>;
  readonly #put: Statement<[Row]>;
  readonly #nextAsset: Statement<[EarnedKey], { name: string; asset: string }>;
  readonly #nextName: Statement<[EarnedKey], { name: string; asset: string }>;
  readonly #energies: Statement<[EarnedKey & { from: number; to: number }], [number, number]>;
  readonly #first: Statement<[EarnedKey], number>;

  constructor(db: Database) {
    const ofKey = 'SELECT * FROM earned WHERE part = @part AND name = @name AND asset = @asset';
    this.#last = db.prepare(`${ofKey} ORDER BY slot DESC LIMIT 1`);
    this.#before = db.prepare(`${ofKey} AND slot < @slot ORDER BY slot DESC LIMIT 1`);
    this.#from = db.prepare(`${ofKey} AND slot >= @slot ORDER BY slot`);
    // Asked for by the hundred at once: as few columns as there have to be, and no object of them.
    this.#until = db
      .prepare<[string, string, string, number], Cells>(
        `SELECT accepted, acceptedShards, promised, paid, measured, estimated, knownShards FROM earned
          WHERE part = ? AND name = ? AND asset = ? AND slot < ? ORDER BY slot DESC LIMIT 1`,
      )
      .raw();
    this.#put = db.prepare(
      `INSERT OR REPLACE INTO earned VALUES (@part, @name, @asset, @slot, @accepted, @acceptedShards, @promised, @paid, @measured, @estimated,
        @knownShards, @lastEntry)`,
    );
    // Two steps: for (name, asset) > (…) SQLite would pass over every row of the name.
    this.#nextAsset = db.prepare(
      'SELECT name, asset FROM earned WHERE part = @part AND name = @name AND asset > @asset ORDER BY asset LIMIT 1',
    );
    this.#nextName = db.prepare('SELECT name, asset FROM earned WHERE part = @part AND name > @name ORDER BY name, asset LIMIT 1');
    this.#energies = db
      .prepare<[EarnedKey & { from: number; to: number }], [number, number]>(
        `SELECT slot, measured + estimated FROM earned
          WHERE part = @part AND name = @name AND asset = @asset AND slot >= @from AND slot < @to ORDER BY slot`,
      )
      .raw();
    this.#first = db
      .prepare<[EarnedKey], number>(
        'SELECT slot FROM earned WHERE part = @part AND name = @name AND asset = @asset AND acceptedShards > 0 ORDER BY slot LIMIT 1',
      )
      .pluck();
  }

  /** Adds what an entry brought, at its time (ms since 1970), to the sums of all and of each part that is named. */
  add(
    asset: string,
    names: Partial<Record<Exclude<EarnedPart, 'all'>, string>>,
    at: number,
    plus: Partial<EarnedSums>,
    entry: number,
  ): void {
    const slot = Math.floor(at / SLOT_MS);
    this.#add({ part: 'all', name: '', asset }, slot, plus, entry);
    for (const [part, name] of Object.entries(names) as [EarnedPart, string][]) this.#add({ part, name, asset }, slot, plus, entry);
  }

  /** Belongs at the end of the transaction in which something was added. */
  settle(): void {
    for (const held of this.#held.values()) this.#write(held);
    if (this.#held.size > MAX_HELD) this.#held.clear();
  }

  /** The transaction in which something was added came to nothing. */
  forget(): void {
    this.#held.clear();
  }

  /** What was added before a time (ms since 1970, at a whole quarter of an hour), as far as it is settled. */
  until({ part, name, asset }: EarnedKey, at: number): EarnedSums {
    const cells = this.#until.get(part, name, asset, Math.floor(at / SLOT_MS));
    if (cells === undefined) return NOTHING;
    const [accepted, acceptedShards, promised, paid, measured, estimated, knownShards] = cells;
    return {
      accepted: BigInt(accepted),
      acceptedShards,
      promised: promised === '0' ? 0n : BigInt(promised),
      paid: paid === '0' ? 0n : BigInt(paid),
      measured,
      estimated,
      knownShards,
    };
  }

  /** What was added from one time up to another. */
  between(key: EarnedKey, from: number, to: number): EarnedSums {
    return sumsBetween(this.until(key, from), this.until(key, to));
  }

  /** Energy in millijoules by quarter of an hour (its start in ms since 1970), of those that have any. */
  *energies(key: EarnedKey, from: number, to: number): Generator<{ at: number; millijoules: number }, void, undefined> {
    const before = this.until(key, from);
    let sum = before.measured + before.estimated;
    for (const [slot, millijoules] of this.#energies.iterate({
      ...key,
      from: Math.floor(from / SLOT_MS),
      to: Math.floor(to / SLOT_MS),
    })) {
      if (millijoules > sum) yield { at: slot * SLOT_MS, millijoules: millijoules - sum };
      sum = millijoules;
    }
  }

  /** Every name and asset of a part, from key to key in their order: however many rows each of them has. */
  keys(part: EarnedPart): EarnedKey[] {
    const found: EarnedKey[] = [];
    const after = (key: EarnedKey) => this.#nextAsset.get(key) ?? this.#nextName.get(key);
    let next = after({ part, name: '', asset: '' });
    while (next !== undefined) {
      const key = { part, ...next };
      found.push(key);
      next = after(key);
    }
    return found;
  }

  /** Start of the quarter of an hour (ms since 1970) in which something was accepted first; null before it. */
  since(key: EarnedKey): number | null {
    const slot = this.#first.get(key);
    return slot === undefined ? null : slot * SLOT_MS;
  }

  #add(key: EarnedKey, slot: number, plus: Partial<EarnedSums>, entry: number): void {
    const last = this.#latest(key);
    if (last !== undefined && last.slot > slot) {
      this.#addEarlier(last, slot, plus, entry);
      return;
    }
    if (last !== undefined && last.slot < slot) this.#write(last);
    const sums = added(last?.sums ?? NOTHING, plus);
    this.#held.set(nameOf(key), { key, slot, sums, lastEntry: entry, changed: true });
  }

  /** The clock was set back: what came since then counts for every later row as well. */
  #addEarlier(last: Held, slot: number, plus: Partial<EarnedSums>, entry: number): void {
    this.#write(last);
    const { key } = last;
    const later = this.#from.all({ ...key, slot }).slice(-MAX_LATER);
    const at = later.length === MAX_LATER ? (later[0] as Row).slot : slot;
    if (later[0]?.slot !== at) {
      const before = this.#before.get({ ...key, slot: at });
      this.#write({ key, slot: at, sums: added(before === undefined ? NOTHING : sumsOf(before), plus), lastEntry: entry, changed: true });
    }
    for (const row of later) this.#write({ key, slot: row.slot, sums: added(sumsOf(row), plus), lastEntry: entry, changed: true });
    this.#held.delete(nameOf(key));
  }

  #latest(key: EarnedKey): Held | undefined {
    const name = nameOf(key);
    const held = this.#held.get(name);
    if (held !== undefined) return held;
    const row = this.#last.get(key);
    if (row === undefined) return undefined;
    const read: Held = { key, slot: row.slot, sums: sumsOf(row), lastEntry: row.lastEntry, changed: false };
    this.#held.set(name, read);
    return read;
  }

  #write(held: Held): void {
    if (!held.changed) return;
    const { key, slot, sums, lastEntry } = held;
    const [accepted, promised, paid] = [sums.accepted.toString(), sums.promised.toString(), sums.paid.toString()];
    this.#put.run({ ...key, slot, ...sums, accepted, promised, paid, lastEntry });
    held.changed = false;
  }
}

function nameOf({ part, name, asset }: EarnedKey): string {
  return `${part} ${name} ${asset}`;
}

function sumsOf({ accepted, acceptedShards, promised, paid, measured, estimated, knownShards }: Row): EarnedSums {
  return {
    ...{ accepted: BigInt(accepted), acceptedShards, promised: BigInt(promised), paid: BigInt(paid) },
    ...{ measured, estimated, knownShards },
  };
}

function added(sums: EarnedSums, plus: Partial<EarnedSums>): EarnedSums {
  return {
    accepted: sums.accepted + (plus.accepted ?? 0n),
    acceptedShards: sums.acceptedShards + (plus.acceptedShards ?? 0),
    promised: sums.promised + (plus.promised ?? 0n),
    paid: sums.paid + (plus.paid ?? 0n),
    measured: sums.measured + (plus.measured ?? 0),
    estimated: sums.estimated + (plus.estimated ?? 0),
    knownShards: sums.knownShards + (plus.knownShards ?? 0),
  };
}
