import { Interface } from 'ethers';
import artifact from '../../resources/contracts/HearthlendEscrow.json' with { type: 'json' };
import type { Bytes32 } from '../contract/digest.ts';
import type { Address } from '../contract/receipt.ts';
import type { EscrowDomain, SignedVoucher } from '../contract/voucher.ts';
import { channelOf } from '../contract/voucher-hash.ts';
import { Bytes, type ChainRpc, quantity, RpcRefusal } from './rpc.ts';

const abi = new Interface(artifact.abi);
/** Several reads that must be of one moment: of the latest block but a few, which all endpoints have. */
type BlockTag = 'latest' | string;

/** What the contract says of one channel. Amounts in base units of its asset. */
export interface ChannelFunds {
  claimed: bigint;
  /** Set aside for this channel, and how much of that is being taken back. */
  earmark: { amount: bigint; thawing: bigint };
  /** The payer's deposit beside earmarks, which any of its channels may be paid from. */
  deposit: { balance: bigint; thawing: bigint };
}

async function read(rpc: ChainRpc, contract: Address, name: string, args: readonly unknown[], block: BlockTag): Promise<bigint[]> {
  const call = { to: contract, data: abi.encodeFunctionData(name, args) };
  const { value } = await rpc.askTwo('eth_call', [call, block], Bytes);
  return [...abi.decodeFunctionResult(name, value)].map(BigInt);
}

/** What is there for a channel. @throws CHAIN_UNREACHABLE, CHAIN_ID_WRONG, CHAIN_DISAGREES */
export async function channelFunds(
  rpc: ChainRpc,
  domain: EscrowDomain,
  { payer, worker, payee, asset }: { payer: Address; worker: Address; payee: Address; asset: Address },
  block: BlockTag = 'latest',
): Promise<ChannelFunds> {
  const channel: Bytes32 = channelOf(domain, { payer, worker, payee, asset });
  const [claimed, earmark, deposit] = await Promise.all([
    read(rpc, domain.contract, 'claimed', [channel], block),
    read(rpc, domain.contract, 'earmarkOf', [channel], block),
    read(rpc, domain.contract, 'depositOf', [payer, asset], block),
  ]);
  return {
    claimed: claimed[0] ?? 0n,
    earmark: { amount: earmark[0] ?? 0n, thawing: earmark[1] ?? 0n },
    deposit: { balance: deposit[0] ?? 0n, thawing: deposit[1] ?? 0n },
  };
}

/** Until when (seconds since 1970, exclusive) a signer's vouchers count for a payer; 0: they don't. */
export async function signerUntil(rpc: ChainRpc, domain: EscrowDomain, payer: Address, signer: Address): Promise<bigint> {
  return (await read(rpc, domain.contract, 'signerUntil', [payer, signer], 'latest'))[0] ?? 0n;
}

/** Channels that are asked about at the same time: endpoints turn away who asks too much at once. */
const CHANNELS_AT_ONCE = 8;

/** What a payer has in its escrow at one block, and how some of its channels stand. Amounts in base units of the token. */
export async function readEscrow(
  rpc: ChainRpc,
  { domain, payer, token, signer }: { domain: EscrowDomain; payer: Address; token: Address; signer: Address },
  wanted: ReadonlyArray<{ worker: Address; payee: Address }>,
) {
  const block = quantity(await rpc.head());
  const [deposit, until] = await Promise.all([
    read(rpc, domain.contract, 'depositOf', [payer, token], block),
    read(rpc, domain.contract, 'signerUntil', [payer, signer], block),
  ]);
  const channels: Pick<ChannelFunds, 'claimed' | 'earmark'>[] = [];
  for (let at = 0; at < wanted.length; at += CHANNELS_AT_ONCE) {
    const some = wanted.slice(at, at + CHANNELS_AT_ONCE).map(async ({ worker, payee }) => {
      const channel = channelOf(domain, { payer, worker, payee, asset: token });
      const [claimed, earmark] = await Promise.all([
        read(rpc, domain.contract, 'claimed', [channel], block),
        read(rpc, domain.contract, 'earmarkOf', [channel], block),
      ]);
      return { claimed: claimed[0] ?? 0n, earmark: { amount: earmark[0] ?? 0n, thawing: earmark[1] ?? 0n } };
    });
    channels.push(...(await Promise.all(some)));
  }
  const [balance = 0n, thawing = 0n, thawedAt = 0n] = deposit;
  return { deposit: { balance, thawing, thawedAt }, signerUntil: until[0] ?? 0n, channels };
}

/** The calldata of a claim; of several in one where there are several. */
export function claimData(vouchers: readonly SignedVoucher[]): string {
  const [only, ...others] = vouchers;
  if (only !== undefined && others.length === 0) return abi.encodeFunctionData('claim', [only.voucher, only.signature]);
  return abi.encodeFunctionData('claimMany', [vouchers.map(({ voucher }) => voucher), vouchers.map(({ signature }) => signature)]);
}

/** The contract's own name for why it refuses; null where it gave none of its own. */
export function refusalOf(thrown: unknown): string | null {
  if (!(thrown instanceof RpcRefusal) || thrown.data === null) return null;
  try {
    return abi.parseError(thrown.data)?.name ?? null;
  } catch {
    return null;
  }
}
