import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { createInterface } from 'node:readline';
import { Contract, ContractFactory, HDNodeWallet, type InterfaceAbi, JsonRpcProvider } from 'ethers';

/** The words of the funded accounts that anvil starts with: nothing of theirs is worth anything anywhere. */
const WORDS = 'test test test test test test test test test test test junk';

/** The program of this platform, from the npm package; null where there is none. */
function findAnvil(): string | null {
  const cpu = { x64: 'amd64', arm64: 'arm64' }[arch() as string];
  const name = `@foundry-rs/anvil-${platform()}-${cpu}/bin/anvil${platform() === 'win32' ? '.exe' : ''}`;
  try {
    const path = createRequire(import.meta.url).resolve(name);
    return existsSync(path) ? path : null;
  } catch {
    return null;
  }
}

/** Why no chain can run here; null where one can. */
export const noAnvil: string | null = findAnvil() === null ? `anvil has no program for ${platform()} ${arch()}` : null;

/** A real EVM node of this test's own. */
export interface Chain {
  url: string;
  chainId: number;
  provider: JsonRpcProvider;
  /** The nth funded account. */
  account(index: number): HDNodeWallet;
  /** Lets so many seconds pass, and makes a block. */
  pass(seconds: number): Promise<void>;
  rpc(method: string, ...params: unknown[]): Promise<unknown>;
  deploy(artifact: { abi: InterfaceAbi; bytecode: string }, args: unknown[], from?: number): Promise<Contract>;
  stop(): Promise<void>;
}

/** @param options.blockSeconds how often a block is made; with each transaction where left out */
export async function startChain(options: { chainId?: number; blockSeconds?: number } = {}): Promise<Chain> {
  const path = findAnvil();
  if (path === null) throw new Error(noAnvil ?? '');
  const { chainId = 31_337, blockSeconds } = options;
  const args = ['--port', '0', '--chain-id', String(chainId), '--mnemonic', WORDS];
  if (blockSeconds !== undefined) args.push('--block-time', String(blockSeconds));
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const listening = Promise.withResolvers<string>();
  child.once('error', listening.reject);
  child.once('exit', (code) => listening.reject(new Error(`anvil ended with ${code}`)));
  createInterface({ input: child.stdout }).on('line', (line) => {
    const address = /^Listening on (\S+)$/.exec(line)?.[1];
    if (address !== undefined) listening.resolve(address);
  });
  const url = `http://${await listening.promise}`;
  const provider = new JsonRpcProvider(url, chainId, { staticNetwork: true, cacheTimeout: -1, pollingInterval: 50 });
  const accounts = new Map<number, HDNodeWallet>();
  const account = (index: number) => {
    const known = accounts.get(index);
    if (known !== undefined) return known;
    const made = HDNodeWallet.fromPhrase(WORDS, undefined, `m/44'/60'/0'/0/${index}`).connect(provider);
    accounts.set(index, made);
    return made;
  };
  return {
    url,
    chainId,
    provider,
    account,
    async pass(seconds) {
      await provider.send('evm_increaseTime', [seconds]);
      await provider.send('evm_mine', []);
    },
    rpc: (method, ...params) => provider.send(method, params),
    async deploy({ abi, bytecode }, deployArgs, from = 0) {
      const deployed = await new ContractFactory(abi, bytecode, account(from)).deploy(...deployArgs);
      await deployed.waitForDeployment();
      return new Contract(await deployed.getAddress(), abi, account(from));
    },
    async stop() {
      provider.destroy();
      child.kill('SIGKILL');
      await ended;
    },
  };
}

/** The committed artifact of the escrow. */
export function escrowArtifact(): { abi: InterfaceAbi; bytecode: string; deployedBytecode: string } {
  return JSON.parse(readFileSync(new URL('../resources/contracts/HearthlendEscrow.json', import.meta.url), 'utf8'));
}
