import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lineOf, summaryLines } from './lines.ts';
import { type Fact, isKept, LIAR, MACHINES, newStory, promisesOf, type Story, tell, textOf } from './story.ts';
import { headline, isSame, lanesOf, moneyRows, theNumber } from './view.ts';

const after = (facts: readonly Fact[], from: Story = newStory()) => facts.reduce((story, fact) => tell(story, fact, 1000), from);
const HALVES = [
  { from: 1, to: 3 },
  { from: 4, to: 6 },
];
const money = { receipts: 3, accepted: '700', promised: '700', claimed: '700', hash: `0x${'ab'.repeat(32)}`, block: 9, balance: '700' };
const caught: Fact[] = MACHINES.map((machine) =>
  machine === LIAR
    ? { fact: 'machine', machine, change: { state: 'suspended', audits: { valid: 0, bad: 2 } }, money: { balance: '0' } }
    : { fact: 'machine', machine, change: { state: 'ready', audits: { valid: 4, bad: 0 } } },
);
const whole: Fact[] = [
  { fact: 'asked', run: 'whole', prompt: 'cat:', stages: [{ from: 1, to: 6 }] },
  { fact: 'token', run: 'whole', token: { text: ' a b c', by: ['Ash'] } },
  { fact: 'answered', run: 'whole', tokens: 3 },
];
const split = (last: string): Fact[] => [
  { fact: 'asked', run: 'split', prompt: 'cat:', stages: HALVES },
  { fact: 'token', run: 'split', token: { text: ' a', by: ['Ash', 'Birch'] } },
  { fact: 'killed', machine: 'Birch', pid: 7, token: 1 },
  { fact: 'token', run: 'split', token: { text: ' b', by: ['Ash', 'Ash'] } },
  { fact: 'taken', machine: 'Ash', afterMs: 1500 },
  { fact: 'token', run: 'split', token: { text: last, by: ['Ash', 'Ash'] } },
  { fact: 'answered', run: 'split', tokens: 3 },
];
const paid: Fact[] = MACHINES.filter((machine) => machine !== LIAR).map((machine) => ({ fact: 'machine', machine, change: {}, money }));
const over: Fact = { fact: 'chapter', chapter: 'over' };
const settlement: Fact = {
  fact: 'settlement',
  settlement: { network: 'n', chainId: 1, contract: '0x', payer: '0x', symbol: 'DEMO', decimals: 2, price: '1', deposit: '5' },
};

test('each promise is kept by what was seen, open until the end, and broken where the end comes without it', () => {
  expect(promisesOf(newStory())).toEqual({ caught: null, identical: null, arrived: null });
  expect(promisesOf(after([over]))).toEqual({ caught: false, identical: false, arrived: false });
  const all = after([settlement, ...caught, ...whole, ...split(' c'), ...paid, over]);
  expect(promisesOf(all)).toEqual({ caught: true, identical: true, arrived: true });
  expect(isKept(all)).toBe(true);
  expect(isKept(after([{ fact: 'failed', detail: 'x' }], all))).toBe(false);
  expect(summaryLines(all).at(-1)).toBe('All three promises were kept, in 1.0 s.');
  expect(summaryLines(after([over])).at(-1)).toBe('3 promises were not kept, after 1.0 s.');
});

test('a blamed honest machine, another token, a kill that nobody noticed, or one unit less breaks its promise', () => {
  const blamed: Fact = { fact: 'machine', machine: 'Ash', change: { audits: { valid: 3, bad: 1 } } };
  expect(promisesOf(after([...caught, blamed])).caught).toBeNull();
  expect(promisesOf(after([...whole, ...split(' d')])).identical).toBe(false);
  const unharmed = split(' c').filter(({ fact }) => fact !== 'killed' && fact !== 'taken');
  expect(promisesOf(after([...whole, ...unharmed])).identical).toBe(false);
  const short: Fact = { fact: 'machine', machine: 'Birch', change: {}, money: { balance: '699' } };
  expect(promisesOf(after([...caught, ...paid, short, over])).arrived).toBe(false);
  const liar: Fact = { fact: 'machine', machine: LIAR, change: {}, money: { balance: '1' } };
  expect(promisesOf(after([...caught, ...paid, liar, over])).arrived).toBe(false);
});

test('the lanes of an answer cover each token once at each stage, and tell the machines apart', () => {
  const by = fc.array(fc.constantFrom(...MACHINES, null), { minLength: 2, maxLength: 2 });
  fc.assert(
    fc.property(fc.array(by, { maxLength: 60 }), (holders) => {
      const lanes = lanesOf({ tokens: holders.map((each) => ({ text: 'x', by: each })), stages: HALVES });
      expect(lanes).toHaveLength(2);
      for (const [stage, spans] of lanes.entries()) {
        const covered = spans.flatMap(({ machine, from, to }) => Array.from({ length: to - from }, () => machine));
        expect(covered).toEqual(holders.map((each) => each[stage]));
        expect(spans.every(({ machine }, index) => index === 0 || spans[index - 1]?.machine !== machine)).toBe(true);
      }
    }),
  );
});

test('what is shown says where it stands: a power cut and who goes on, money once it has arrived, equal figures marked', () => {
  expect(headline(newStory()).title).toBe('Setting up');
  const killing = after([{ fact: 'chapter', chapter: 'killing' }, ...split(' c').slice(0, 3)]);
  expect(headline(killing)).toEqual({ title: 'Birch has lost its power', why: expect.stringContaining('after 1 token.') });
  expect(headline(after(split(' c').slice(3), killing)).title).toBe('Ash goes on in its place');
  expect(headline(after([over])).title).toBe('Not every promise was kept');
  expect(headline(after([{ fact: 'failed', detail: 'no port' }])).why).toBe('no port');
  expect(theNumber(killing)).toEqual({ value: '1', unit: 'tokens' });
  const all = after([settlement, ...caught, ...whole, ...split(' c'), ...paid, over]);
  expect(theNumber(all)).toEqual({ value: '14', unit: 'DEMO arrived' });
  expect(isSame(all)).toBe(true);
  expect(all.runs.map(textOf)).toEqual([' a b c', ' a b c']);
  const [ash, , cedar] = moneyRows(all);
  expect(ash?.amounts.map(({ text, same }) => [text, same])).toEqual([
    ['7', false],
    ['7', true],
    ['7', true],
    ['7', true],
  ]);
  expect(cedar?.amounts.map(({ text, same }) => [text, same])).toEqual([
    ['0', false],
    ['0', false],
    [null, false],
    ['0', false],
  ]);
});

test('the terminal tells the same facts, and leaves out what changes many times a second', () => {
  const told: string[] = [];
  [settlement, ...caught, ...whole, ...split(' c'), ...paid, over].reduce((before, fact) => {
    const story = tell(before, fact, 0);
    const line = lineOf(fact, story);
    if (line !== null) told.push(line);
    return story;
  }, newStory());
  expect(told).toEqual([
    '0.05 DEMO in escrow at 0x, chain 1',
    'Cedar is suspended',
    '“cat:”: the whole model on one machine',
    '3 tokens: a b c',
    '“cat:”: the model in 2 stages, a machine each',
    'Birch is killed (process 7) after 1 token',
    'Ash takes its stage over, 1.5 s later',
    '3 tokens: a b c',
    `Ash claims 7 DEMO: ${money.hash}`,
    `Birch claims 7 DEMO: ${money.hash}`,
  ]);
});
