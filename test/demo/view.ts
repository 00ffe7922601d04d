import { formatBaseUnits } from '../../core/contract/money.ts';
import { LIAR, type Machine, type MachineName, type Money, promisesOf, type Run, type Story, textOf } from './story.ts';
import { say, type WordKey } from './words.ts';

/** The one sentence that says where it stands, and why. */
export function headline(story: Story): { title: string; why: string } {
  const { chapter, killed, failure } = story;
  if (failure !== null) return { title: say('failed'), why: failure };
  const titled = (key: WordKey & `chapter.${string}`, params: Record<string, string | number> = {}) => ({
    title: say(key, params),
    why: say(`${key}.why` as WordKey, params),
  });
  if (chapter === 'over')
    return titled(Object.values(promisesOf(story)).every((kept) => kept === true) ? 'chapter.over' : 'chapter.over.not');
  if (chapter === 'killing' && killed?.takenBy != null) return titled('chapter.killing.taken', { machine: killed.takenBy });
  if (chapter === 'killing' && killed !== null) return titled('chapter.killing.dead', { machine: killed.machine, token: killed.token });
  return titled(`chapter.${chapter}`, { liar: LIAR });
}

/** The one number, with what it counts: money once some has arrived. */
export function theNumber(story: Story): { value: string; unit: string } {
  const arrived = story.machines.reduce((sum, { money }) => sum + BigInt(money.balance ?? 0), 0n);
  if (story.settlement !== null && (arrived > 0n || story.chapter === 'paying' || story.chapter === 'over')) {
    const { decimals, symbol } = story.settlement;
    return { value: formatBaseUnits(arrived, decimals), unit: say('number.arrived', { symbol }) };
  }
  const run = story.runs.at(-1);
  if (run !== undefined) return { value: String(run.counted ?? run.tokens.length), unit: say('number.tokens') };
  return { value: String(story.texts.answered), unit: say('number.texts', { answered: story.texts.answered }) };
}

/** A stretch of an answer that one machine computed at one stage: tokens from…to, counted from 0, `to` not included. */
export interface Span {
  machine: MachineName | null;
  from: number;
  to: number;
}

/** Who computed which tokens at each stage, the first stage first. */
export function lanesOf({ tokens, stages }: Pick<Run, 'tokens' | 'stages'>): Span[][] {
  return stages.map((_, stage) => {
    const spans: Span[] = [];
    for (const [index, { by }] of tokens.entries()) {
      const machine = by[stage] ?? null;
      const last = spans.at(-1);
      if (last !== undefined && last.machine === machine) last.to = index + 1;
      else spans.push({ machine, from: index, to: index + 1 });
    }
    return spans;
  });
}

/** Whether two answers are the same so far as both have come: null until both are over. */
export function isSame(story: Story): boolean | null {
  const [whole, split] = (['whole', 'split'] as const).map((name) => story.runs.find((run) => run.name === name));
  if (whole?.counted == null || split?.counted == null) return null;
  return whole.counted === split.counted && textOf(whole) === textOf(split);
}

export interface MoneyRow {
  machine: MachineName;
  receipts: number;
  /** From the receipts to the wallet, each as text; null where it is not known yet. */
  amounts: { name: 'accepted' | 'promised' | 'claimed' | 'balance'; text: string | null; same: boolean }[];
  hash: string | null;
  block: number | null;
}

const STEPS = ['accepted', 'promised', 'claimed', 'balance'] as const;

/** One row a machine: the same amount on its way. `same`: it is the one before it, to the unit. */
export function moneyRows({ machines, settlement }: Story): MoneyRow[] {
  const decimals = settlement?.decimals ?? 0;
  const text = (amount: string | null) => (amount === null ? null : formatBaseUnits(BigInt(amount), decimals));
  return machines.map(({ name, money }) => ({
    ...{ machine: name, receipts: money.receipts, hash: money.hash, block: money.block },
    amounts: STEPS.map((step, index) => ({ name: step, text: text(money[step]), same: index > 0 && isSameAmount(money, index) })),
  }));
}

function isSameAmount(money: Money, index: number): boolean {
  const [here, before] = [STEPS[index], STEPS[index - 1]] as const;
  return here !== undefined && before !== undefined && money[here] !== null && money[here] !== '0' && money[here] === money[before];
}

/** A machine's state in a word, and how grave it is. */
export function stateOf({ state, computing }: Machine): { word: string; tone: 'ember' | 'hold' | 'bad' | 'idle' } {
  if (state === 'killed') return { word: say('machine.killed'), tone: 'hold' };
  if (state === 'suspended') return { word: say('machine.suspended'), tone: 'bad' };
  if (computing) return { word: say('machine.computing'), tone: 'ember' };
  return { word: say(`machine.${state}`), tone: 'idle' };
}

/** A hash or an address as people compare it. */
export function short(id: string): string {
  return id.length > 14 ? `${id.slice(0, 6)}…${id.slice(-4)}` : id;
}
