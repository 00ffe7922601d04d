import { setTimeout as sleep } from 'node:timers/promises';
import { complete, stream } from './asking.ts';
import { type Cast, SPLIT, setUp, switchOn, WHOLE } from './cast.ts';
import { openChain } from './chain.ts';
import type { Children } from './children.ts';
import { type Fact, LIAR, type MachineName, type Run, type Story } from './story.ts';
import { watch } from './watch.ts';

const PROMPT = 'lantern (noun):';
const TOKENS = 120;
/** Drawn, not the likeliest: the seed makes it the same draw each time, whoever computes. */
const SAMPLING = { temperature: 0.8, seed: 24 };
/** A machine's power is cut after so many tokens. */
const KILL_AFTER = 40;
/** Short texts, of which each machine gets some. */
const WORDS = ['light', 'river', 'stone', 'lamp', 'tree', 'house', 'bird', 'fire', 'ship', 'wind', 'bridge', 'garden'];
const WORD_TOKENS = 24;
/** Two results that are found bad suspend a worker; a round gives each machine a few. */
const MOST_ROUNDS = 40;
const LOOK_MS = 50;
const MOST_MS = 60_000;

export interface Stage {
  folder: string;
  children: Children;
  /** Aborted when the demonstration is to end early. */
  signal: AbortSignal;
  tell(fact: Fact): void;
  story(): Story;
}

/** The demonstration from nothing to its end: everything that happens is told as it happens. @throws what went wrong */
export async function perform(stage: Stage): Promise<void> {
  const { tell, signal } = stage;
  const chain = await openChain();
  const over = new AbortController();
  signal.addEventListener('abort', () => over.abort(), { once: true });
  let watcher: Promise<void> | undefined;
  try {
    const cast = await setUp(stage, chain);
    watcher = watch({ ...cast, tell }, over.signal);
    tell({ fact: 'chapter', chapter: 'lying' });
    await findTheLiar(stage, cast);
    tell({ fact: 'chapter', chapter: 'asking' });
    await ask(stage, cast, 'whole');
    tell({ fact: 'chapter', chapter: 'killing' });
    await ask(stage, cast, 'split');
    tell({ fact: 'chapter', chapter: 'paying' });
    await switchOnAgain(stage, cast);
    await pay(stage, cast);
    tell({ fact: 'chapter', chapter: 'over' });
  } finally {
    over.abort();
    await watcher;
    await chain.chain.stop();
  }
}

/** Short texts for all of them, until the coordinator has found out who lies, and each honest machine has earned something. */
async function findTheLiar(stage: Stage, { desk }: Cast): Promise<void> {
  let asked = 0;
  let answered = 0;
  const isFound = () =>
    stage.story().machines.every(({ name, state, audits }) => (name === LIAR ? state === 'suspended' : audits.valid > 0));
  for (let round = 0; round < MOST_ROUNDS && !isFound(); round += 1) {
    asked += WORDS.length;
    await Promise.all(
      WORDS.map(async (word) => {
        await complete(desk, { model: WHOLE, prompt: `${word} (noun):`, max_tokens: WORD_TOKENS, temperature: 0 });
        answered += 1;
        stage.tell({ fact: 'texts', asked, answered });
      }),
    );
    // What came of the last audits is known a moment later.
    await sleep(6 * LOOK_MS);
  }
  await until(stage, 'the liar is suspended and everybody else has work accepted', isFound);
}

/** The prompt, to one machine or through stages. In the second case the machine that has the last stage loses its power in the middle. */
async function ask(stage: Stage, { desk, holders, members, off, stages: cut }: Cast, run: Run['name']): Promise<void> {
  const stages = run === 'whole' ? cut.slice(0, 1).map(({ from }) => ({ from, to: cut.at(-1)?.to ?? from })) : cut;
  const holdersNow = () => stages.map((_, index) => holders.get(index) ?? null);
  holders.clear();
  stage.tell({ fact: 'asked', run, prompt: PROMPT, stages });
  let count = 0;
  let killedAt: number | null = null;
  let killing: Promise<void> | undefined;
  let isTaken = false;

  async function kill(machine: MachineName): Promise<void> {
    const member = members.get(machine);
    if (member === undefined) throw new Error(`${machine} is no machine of this demonstration`);
    members.delete(machine);
    stage.tell({ fact: 'killed', machine, pid: member.pid, token: count });
    await member.kill();
    for (const [index, holder] of holders) if (holder === machine) holders.delete(index);
    stage.tell({ fact: 'machine', machine, change: { state: 'killed', pid: null, computing: false } });
    off.set(machine, member);
  }

  const request = { model: run === 'whole' ? WHOLE : SPLIT, prompt: PROMPT, max_tokens: TOKENS, ...SAMPLING };
  const tokens = await stream(desk, request, (text) => {
    count += 1;
    const by = holdersNow();
    stage.tell({ fact: 'token', run, token: { text, by } });
    const last = by.at(-1);
    if (run === 'split' && killing === undefined && count >= KILL_AFTER && last != null) {
      killedAt = performance.now();
      killing = kill(last);
    }
    if (killedAt !== null && !isTaken && last != null && members.has(last)) {
      isTaken = true;
      stage.tell({ fact: 'taken', machine: last, afterMs: performance.now() - killedAt });
    }
  });
  await killing;
  stage.tell({ fact: 'answered', run, tokens });
}

/** Whoever was switched off comes back, with everything that it had on record. */
async function switchOnAgain({ tell }: Stage, { members, off, holders }: Cast): Promise<void> {
  for (const [name, member] of off) {
    await switchOn({ tell, holders }, name, member);
    members.set(name, member);
    off.delete(name);
  }
}

/** Each honest machine claims what its voucher promises, once that is all that it is owed, and the chain is asked what its wallet has. */
async function pay(stage: Stage, { chain, members, operator, workers }: Cast): Promise<void> {
  const moneyOf = (name: MachineName) => stage.story().machines.find((machine) => machine.name === name)?.money;
  await Promise.all(
    [...members].map(async ([name, member]) => {
      const owed = async () => {
        const row = (await operator.workers()).find(({ worker }) => worker.toLowerCase() === workers.get(name)?.toLowerCase());
        return { open: row?.open ?? 0, amount: row?.earned[0]?.amount ?? '0' };
      };
      await until(stage, `${name} has a voucher for all that it did`, async () => {
        const { open, amount } = await owed();
        const money = moneyOf(name);
        return open === 0 && amount !== '0' && money?.accepted === amount && money.promised === amount;
      });
      const { gasAddress, brings } = await member.planClaim(operator.network);
      await chain.giveGas(gasAddress);
      const hash = await member.claim(operator.network);
      stage.tell({ fact: 'machine', machine: name, change: {}, money: { claimed: brings.toString(), hash } });
      const block = await chain.mined(hash);
      stage.tell({ fact: 'machine', machine: name, change: {}, money: { block } });
      await until(stage, `what ${name} claimed has arrived`, () => moneyOf(name)?.balance === brings.toString());
    }),
  );
}

async function until({ signal }: Stage, what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = performance.now() + MOST_MS;
  while (!(await isSo())) {
    if (performance.now() > giveUpAt) throw new Error(`after ${MOST_MS / 1000} s it is still not so that ${what}`);
    await sleep(LOOK_MS, undefined, { signal });
  }
}
