import { formatBaseUnits } from '../../core/contract/money.ts';
import { type Fact, promisesOf, type Story, textOf } from './story.ts';
import { say } from './words.ts';

const seconds = (ms: number) => (ms / 1000).toFixed(1);

/** What the terminal says of a fact, with the story as it is after it; null for what it keeps to itself. */
export function lineOf(fact: Fact, story: Story): string | null {
  const { settlement } = story;
  const amount = (baseUnits: string) => formatBaseUnits(BigInt(baseUnits), settlement?.decimals ?? 0);
  const symbol = settlement?.symbol ?? '';
  switch (fact.fact) {
    case 'process':
      return say('line.process', { ...fact.process, pid: String(fact.process.pid) });
    case 'settlement': {
      const { deposit, contract, chainId } = fact.settlement;
      return say('line.settlement', { deposit: amount(deposit), symbol, contract, chainId: String(chainId) });
    }
    case 'verdict':
      return say('line.verdict', { ...fact.verdict });
    case 'asked':
      return say(`line.asked.${fact.run}`, { prompt: fact.prompt, stages: fact.stages.length });
    case 'answered': {
      const run = story.runs.find(({ name }) => name === fact.run);
      return say('line.answered', { count: fact.tokens, text: run === undefined ? '' : textOf(run).trim() });
    }
    case 'killed':
      return say('line.killed', { machine: fact.machine, pid: String(fact.pid), token: fact.token });
    case 'taken':
      return say('line.taken', { machine: fact.machine, seconds: seconds(fact.afterMs) });
    case 'failed':
      return say('line.failed', { detail: fact.detail });
    case 'machine': {
      const { machine, change, money } = fact;
      if (change.state === 'suspended') return say('line.suspended', { machine });
      if (money?.claimed != null) return say('line.claimed', { machine, amount: amount(money.claimed), symbol, hash: money.hash ?? '' });
      const known = story.machines.find(({ name }) => name === machine)?.money;
      if (money?.balance == null || money.balance === '0') return null;
      return say('line.arrived', { machine, amount: amount(money.balance), symbol, block: String(known?.block ?? '') });
    }
    default:
      return null;
  }
}

/** How it ended, in the last lines. */
export function summaryLines(story: Story): string[] {
  const promises = Object.entries(promisesOf(story)) as [keyof ReturnType<typeof promisesOf>, boolean | null][];
  const broken = promises.filter(([, kept]) => kept !== true);
  const lines = promises.map(([name, kept]) => say(kept === true ? 'line.kept' : 'line.broken', { promise: say(`promise.${name}`) }));
  const total = seconds(story.atMs);
  const all = broken.length === 0 && story.failure === null;
  return [...lines, all ? say('line.summary', { seconds: total }) : say('line.summary.not', { count: broken.length, seconds: total })];
}
