/** The machines of the demonstration. Cedar is the one that lies. */
export const MACHINES = ['Ash', 'Birch', 'Cedar'] as const;
export type MachineName = (typeof MACHINES)[number];
export const LIAR: MachineName = 'Cedar';

/** What a machine's work is worth, on its way to its wallet. Amounts in base units; null while nobody has said. */
export interface Money {
  /** Receipts that both sides signed, and their sum, by the machine's own ledger. */
  receipts: number;
  accepted: string;
  /** What the network's voucher promises. */
  promised: string;
  /** What the claim's transaction brings, by the machine's own reckoning before it was sent; its hash and block. */
  claimed: string | null;
  hash: string | null;
  block: number | null;
  /** What the chain says that the wallet has: asked of the chain, not of the machine. */
  balance: string | null;
}

export interface Machine {
  name: MachineName;
  state: 'starting' | 'ready' | 'killed' | 'suspended';
  pid: number | null;
  worker: string | null;
  wallet: string | null;
  /** Named levels, as `hearthlend doctor` says them. */
  isolation: string | null;
  /** Whether it computes now, by its own word. */
  computing: boolean;
  /** Results that the coordinator computed again, and how they were found. */
  audits: { valid: number; bad: number };
  money: Money;
}

/** One token of an answer, as it came. `by`: the machine of each stage that it went through, the first stage first; null where none of them said so. */
interface Token {
  text: string;
  by: (MachineName | null)[];
}

/** The prompt, answered once. */
export interface Run {
  /** `whole`: one machine has the whole model. `split`: a stage a machine, and one of them is killed. */
  name: 'whole' | 'split';
  /** Of each stage, its first layer and its last, counted from 1. */
  stages: { from: number; to: number }[];
  tokens: Token[];
  /** How many tokens the network counted; null until it is over. */
  counted: number | null;
}

interface Verdict {
  machine: MachineName;
  shard: string;
  detail: string;
  atMs: number;
}

/** Where everything is, as far as it is known. */
interface Settlement {
  network: string;
  chainId: number;
  contract: string;
  payer: string;
  symbol: string;
  decimals: number;
  /** Of a token, and what the escrow holds: base units. */
  price: string;
  deposit: string;
}

export interface Killed {
  machine: MachineName;
  pid: number;
  /** How many tokens there were. */
  token: number;
  /** Who took its stage over, and after how long: null while nobody has. */
  takenBy: MachineName | null;
  afterMs: number | null;
}

/** A process of the demonstration. */
interface Process {
  name: string;
  /** Null where it is not told. */
  pid: number | null;
  command: string;
}

export type Chapter = 'setting-up' | 'lying' | 'asking' | 'killing' | 'paying' | 'over';

export interface Story {
  chapter: Chapter;
  /** Since the demonstration began. */
  atMs: number;
  processes: Process[];
  settlement: Settlement | null;
  machines: Machine[];
  /** Short texts that were asked for first, and answered. */
  texts: { asked: number; answered: number };
  verdicts: Verdict[];
  prompt: string;
  runs: Run[];
  killed: Killed | null;
  /** Why it could not go on; null where nothing is wrong. */
  failure: string | null;
}

/** What is told of the demonstration: each is what a real component said, or what was done to one. */
export type Fact =
  | { fact: 'chapter'; chapter: Chapter }
  | { fact: 'process'; process: Process }
  | { fact: 'settlement'; settlement: Settlement }
  | { fact: 'machine'; machine: MachineName; change: Partial<Omit<Machine, 'name' | 'money'>>; money?: Partial<Money> }
  | { fact: 'texts'; asked: number; answered: number }
  | { fact: 'verdict'; verdict: Omit<Verdict, 'atMs'> }
  | { fact: 'asked'; run: Run['name']; prompt: string; stages: Run['stages'] }
  | { fact: 'token'; run: Run['name']; token: Token }
  | { fact: 'answered'; run: Run['name']; tokens: number }
  | { fact: 'killed'; machine: MachineName; pid: number; token: number }
  | { fact: 'taken'; machine: MachineName; afterMs: number }
  | { fact: 'failed'; detail: string };

const NOTHING: Money = { receipts: 0, accepted: '0', promised: '0', claimed: null, hash: null, block: null, balance: null };

export function newStory(): Story {
  const machine = (name: MachineName): Machine => ({
    ...{ name, state: 'starting', pid: null, worker: null, wallet: null, isolation: null, computing: false },
    ...{ audits: { valid: 0, bad: 0 }, money: NOTHING },
  });
  return {
    ...{ chapter: 'setting-up', atMs: 0, processes: [], settlement: null, machines: MACHINES.map(machine) },
    ...{ texts: { asked: 0, answered: 0 }, verdicts: [], prompt: '', runs: [], killed: null, failure: null },
  };
}

/** The story after one more fact. Pure. */
export function tell(story: Story, fact: Fact, atMs: number): Story {
  const now = { ...story, atMs };
  switch (fact.fact) {
    case 'chapter':
      return { ...now, chapter: fact.chapter };
    case 'process':
      return { ...now, processes: [...story.processes.filter(({ name }) => name !== fact.process.name), fact.process] };
    case 'settlement':
      return { ...now, settlement: fact.settlement };
    case 'machine':
      return {
        ...now,
        machines: story.machines.map((machine) =>
          machine.name === fact.machine ? { ...machine, ...fact.change, money: { ...machine.money, ...fact.money } } : machine,
        ),
      };
    case 'texts':
      return { ...now, texts: { asked: fact.asked, answered: fact.answered } };
    case 'verdict':
      return { ...now, verdicts: [...story.verdicts, { ...fact.verdict, atMs }] };
    case 'asked':
      return { ...now, prompt: fact.prompt, runs: [...story.runs, { name: fact.run, stages: fact.stages, tokens: [], counted: null }] };
    case 'token':
      return { ...now, runs: changed(story.runs, fact.run, ({ tokens }) => ({ tokens: [...tokens, fact.token] })) };
    case 'answered':
      return { ...now, runs: changed(story.runs, fact.run, () => ({ counted: fact.tokens })) };
    case 'killed':
      return { ...now, killed: { machine: fact.machine, pid: fact.pid, token: fact.token, takenBy: null, afterMs: null } };
    case 'taken':
      return { ...now, killed: story.killed === null ? null : { ...story.killed, takenBy: fact.machine, afterMs: fact.afterMs } };
    case 'failed':
      return { ...now, failure: fact.detail };
  }
}

function changed(runs: readonly Run[], name: Run['name'], change: (run: Run) => Partial<Run>): Run[] {
  return runs.map((run) => (run.name === name ? { ...run, ...change(run) } : run));
}

export function textOf({ tokens }: Pick<Run, 'tokens'>): string {
  return tokens.map(({ text }) => text).join('');
}

/** Whether what the demonstration promises was seen: null while it may still come. */
export interface Promises {
  /** The liar was found out and is lent nothing more, is owed nothing, and no honest machine was blamed. */
  caught: boolean | null;
  /** With the model split and a machine killed in the middle of the answer, it has the tokens of the whole model on one machine. */
  identical: boolean | null;
  /** On chain each honest wallet has what its machine's receipts add up to, to the unit, and the liar's has nothing. */
  arrived: boolean | null;
}

export function promisesOf(story: Story): Promises {
  const over = story.chapter === 'over';
  const decided = (kept: boolean) => (kept ? true : over ? false : null);
  return { caught: decided(isCaught(story)), identical: sameTokens(story) ?? decided(false), arrived: decided(hasArrived(story)) };
}

function isCaught({ machines }: Story): boolean {
  const [liar] = machines.filter(({ name }) => name === LIAR);
  const honest = machines.filter(({ name }) => name !== LIAR);
  return liar?.state === 'suspended' && liar.audits.bad > 0 && honest.every(({ audits }) => audits.bad === 0 && audits.valid > 0);
}

function sameTokens({ runs, killed }: Story): boolean | null {
  const [whole, split] = (['whole', 'split'] as const).map((name) => runs.find((run) => run.name === name));
  if (whole?.counted == null || split?.counted == null) return null;
  const inTheMiddle = killed !== null && killed.token > 0 && killed.token < split.tokens.length && killed.takenBy !== null;
  return inTheMiddle && split.stages.length > 1 && whole.counted === split.counted && textOf(whole) === textOf(split);
}

function hasArrived({ machines }: Story): boolean {
  return machines.every(({ name, money: { accepted, promised, claimed, balance } }) =>
    name === LIAR
      ? balance === '0' && accepted === '0'
      : accepted !== '0' && [promised, claimed, balance].every((each) => each === accepted),
  );
}

/** Whether everything that was promised was seen. */
export function isKept(story: Story): boolean {
  return story.failure === null && Object.values(promisesOf(story)).every((kept) => kept === true);
}
