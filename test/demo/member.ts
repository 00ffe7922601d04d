import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connectToAgent } from '../../cli/agent/connect.ts';
import type { ChainConfig } from '../../core/contract/chain.ts';
import type { NetworkTerms } from '../../core/contract/joining.ts';
import type { NetworkCredit } from '../../core/contract/payments.ts';
import type { RpcClient } from '../../core/contract/rpc-client.ts';
import type { CurrentShard } from '../../core/contract/snapshot.ts';
import type { Child, Children } from './children.ts';
import { ISOLATION } from './operator.ts';

/** A machine: an agent with a data folder, an identity, a wallet and workers of its own. */
export class Member {
  readonly dataDir: string;
  readonly #children: Children;
  #child: Child | null = null;
  #client: RpcClient | null = null;

  /** Makes its folder. */
  constructor(children: Children, dataDir: string, chain: ChainConfig) {
    this.dataDir = dataDir;
    this.#children = children;
    mkdirSync(dataDir, { mode: 0o700 });
    // No practice: what it computes here is the network's.
    const settings = { practice: { shardsPerDay: 0, minutesPerDay: 10 }, acceptedIsolation: ISOLATION, chains: [chain] };
    writeFileSync(join(dataDir, 'settings.json'), JSON.stringify(settings), { mode: 0o600 });
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** Switches it on. @param onCurrent told of the task that it computes, by its own word; null between two */
  async start(onCurrent: (current: CurrentShard | null) => void): Promise<{ worker: string; isolation: string }> {
    this.#child = this.#children.hearthlend(this.dataDir, ['start', '--headless']);
    await this.#child.event('started');
    const connection = await connectToAgent(this.dataDir);
    if (connection === undefined) throw new Error(`the agent of ${this.dataDir} can not be reached`);
    this.#client = connection.client;
    this.#client.on('changed', ({ current }) => {
      if (current !== undefined) onCurrent(current);
    });
    const { worker, isolation } = await this.#client.call('app.watch', {});
    return { worker: worker.address, isolation: isolation.level };
  }

  /** A wallet of its own, under a password that nobody keeps: its address. */
  async createWallet(password: string): Promise<string> {
    const { address } = await this.#children.run(this.dataDir, ['wallet', 'create', '--password-stdin'], `${password}\n`);
    return String(address);
  }

  /** Gives the address of the coordinator, which signs what is owed. */
  async join(link: string, network: string): Promise<string> {
    const { terms } = (await this.#children.run(this.dataDir, ['network', 'join', link, '--yes'])) as unknown as { terms: NetworkTerms };
    await this.#children.run(this.dataDir, ['network', 'set', network, 'isolation', ISOLATION.join(',')]);
    return terms.coordinator;
  }

  /** What the network owes it and has paid, and how many results were accepted; null where it has not heard yet. */
  async owed(): Promise<(NetworkCredit & { receipts: number }) | null> {
    const client = this.#connected();
    const [{ networks }, rows] = await Promise.all([client.call('payments.status', {}), client.call('network.list', {})]);
    const [credit] = networks;
    if (credit === undefined) return null;
    return { ...credit, receipts: rows.find(({ id }) => id === credit.network)?.earnings.acceptedShards ?? 0 };
  }

  /** What a claim would bring, and the key that pays its fees. */
  async planClaim(network: string): Promise<{ gasAddress: string; brings: bigint }> {
    const { gasAddress, parts } = await this.#connected().call('payments.plan', { network });
    return { gasAddress, brings: parts.reduce((sum, { pays }) => sum + BigInt(pays), 0n) };
  }

  /** Claims; gives the transaction's hash. */
  async claim(network: string): Promise<string> {
    const { hashes } = await this.#children.run(this.dataDir, ['wallet', 'claim', '--network', network, '--yes']);
    return (hashes as string[]).at(-1) ?? '';
  }

  /** Cuts its power: the agent, its workers and its wallet's process are gone at once. */
  async kill(): Promise<void> {
    this.#client?.close();
    this.#client = null;
    await this.#child?.kill();
  }

  #connected(): RpcClient {
    if (this.#client === null) throw new Error('it is switched off');
    return this.#client;
  }
}
