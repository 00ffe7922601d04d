import { randomBytes } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CurrentShard } from '../../core/contract/snapshot.ts';
import { SPLIT_FILE, SplitManifest } from '../../core/contract/stages.ts';
import { type Desk, openDesk } from './asking.ts';
import { DECIMALS, type DemoChain, PRICE, SYMBOL } from './chain.ts';
import { type Children, NODE } from './children.ts';
import { Member } from './member.ts';
import { type Operator, startOperator } from './operator.ts';
import { type Fact, LIAR, MACHINES, type MachineName, type Run } from './story.ts';

const root = join(import.meta.dirname, '../..');
/** The practice model: it comes with every checkout, and its texts can be read. */
const MODEL = join(root, 'resources/models/wordnet-lm');
export const WHOLE = 'wordnet-lm';
export const SPLIT = 'wordnet-lm-in-stages';
const STAGES = 2;
/** It computes with a layer less, which is quicker, and hands that in as the answer. */
const LIE = 'skipped layers';

/** Everybody who takes part, at work. */
export interface Cast {
  operator: Operator;
  chain: DemoChain;
  /** Where the requester asks. */
  desk: Desk;
  /** The honest machines that are switched on, and those that are off. */
  members: Map<MachineName, Member>;
  off: Map<MachineName, Member>;
  workers: Map<MachineName, string>;
  wallets: Map<MachineName, string>;
  /** The layers of each stage of the model, as it was cut. */
  stages: Run['stages'];
  /** Which machine has which stage, counted from 0, of the text that is made now: as they say themselves. */
  holders: Map<number, MachineName>;
}

interface Ports {
  folder: string;
  children: Children;
  tell(fact: Fact): void;
}

/** Starts them all: coordinator and machines at once, then wallets and joining, and the money into the escrow. */
export async function setUp({ folder, children, tell }: Ports, chain: DemoChain): Promise<Cast> {
  tell({ fact: 'process', process: { name: 'anvil', pid: null, command: chain.chain.url } });
  const holders: Cast['holders'] = new Map();
  const workers: Cast['workers'] = new Map();
  const wallets: Cast['wallets'] = new Map();
  const honest = MACHINES.filter((name) => name !== LIAR);
  const members = new Map(honest.map((name) => [name, new Member(children, join(folder, name.toLowerCase()), chain.config)]));

  const layOut = layOutModels(children, folder);
  const [operator] = await Promise.all([
    layOut.then(({ models }) => startOperator(children, join(folder, 'operator'), chain, models)),
    ...[...members].map(async ([name, member]) => {
      // Before it is switched on: what it earns is paid to the wallet that it finds when it starts.
      const wallet = await member.createWallet(randomBytes(18).toString('base64url'));
      wallets.set(name, wallet);
      tell({ fact: 'machine', machine: name, change: { wallet } });
      workers.set(name, await switchOn({ tell, holders }, name, member));
    }),
  ]);
  tell({ fact: 'process', process: { name: 'coordinator', pid: operator.child.pid, command: 'hearthlend coordinator' } });
  const natsPid = Number(readFileSync(join(folder, 'operator/operator/nats/nats.pid'), 'utf8'));
  tell({ fact: 'process', process: { name: 'nats-server', pid: natsPid, command: operator.servers[0] ?? '' } });

  const [coordinator] = await Promise.all([
    ...[...members].map(async ([name, member]) => {
      const signer = await member.join(await operator.invite(), operator.network);
      tell({ fact: 'machine', machine: name, change: { state: 'ready' } });
      return signer;
    }),
    startLiar({ children, tell }, await operator.invite()).then((worker) => {
      workers.set(LIAR, worker);
      wallets.set(LIAR, worker);
    }),
  ]);
  const [deposit, key] = await Promise.all([chain.fund(String(coordinator)), operator.key('requester')]);
  tell({
    fact: 'settlement',
    settlement: {
      ...{ network: operator.network, chainId: chain.chain.chainId, contract: chain.contract, payer: chain.payer },
      ...{ symbol: SYMBOL, decimals: DECIMALS, price: PRICE.toString(), deposit: deposit.toString() },
    },
  });
  const desk = await openDesk(key.network, key.address, key.secret);
  const { stages } = await layOut;
  return { operator, chain, desk, stages, members, off: new Map(), workers, wallets, holders };
}

/** Starts a machine's agent; gives its worker's address. */
export async function switchOn(
  { tell, holders }: Pick<Ports, 'tell'> & Pick<Cast, 'holders'>,
  name: MachineName,
  member: Member,
): Promise<string> {
  const onCurrent = (current: CurrentShard | null) => {
    tell({ fact: 'machine', machine: name, change: { computing: current !== null } });
    // The shards of a job are numbered from 1: one that goes through stages has one for each.
    const stage = /\.(\d+)$/.exec(current?.shardId ?? '')?.[1];
    if (stage !== undefined) holders.set(Number(stage) - 1, name);
  };
  const { worker, isolation } = await member.start(onCurrent);
  tell({ fact: 'machine', machine: name, change: { state: 'ready', pid: member.pid, worker, isolation } });
  tell({ fact: 'process', process: { name, pid: member.pid, command: 'hearthlend start --headless' } });
  return worker;
}

/** The one part that is not real: it joins and computes as any machine, and lies. It keeps no wallet but its identity. */
async function startLiar({ children, tell }: Pick<Ports, 'children' | 'tell'>, link: string): Promise<string> {
  const program = 'test/fakes/lying-agent.ts';
  const child = children.start(NODE, [join(root, program), '--link', link, '--lie', LIE]);
  const worker = String((await child.event('joined')).worker);
  tell({ fact: 'machine', machine: LIAR, change: { state: 'ready', pid: child.pid, worker, wallet: worker } });
  tell({ fact: 'process', process: { name: LIAR, pid: child.pid, command: `${program} --lie "${LIE}"` } });
  return worker;
}

/** The model as it comes, and once more with its stages beside it: the coordinator serves the first to one machine, the second to one a stage. */
async function layOutModels(children: Children, folder: string): Promise<{ models: string[]; stages: Run['stages'] }> {
  const split = join(folder, SPLIT);
  cpSync(MODEL, split, { recursive: true });
  const cutting = ['model', 'split', '--model', split, '--stages', String(STAGES), '--out', join(split, 'stages')];
  await children.run(join(folder, 'cutting'), cutting);
  const { stages } = SplitManifest.parse(JSON.parse(readFileSync(join(split, 'stages', SPLIT_FILE), 'utf8')));
  return { models: [MODEL, split], stages: stages.map(({ layers }) => ({ from: 1 + Math.min(...layers), to: 1 + Math.max(...layers) })) };
}
