import { join } from 'node:path';
import { openAddressBook } from './contacts.ts';
import { NATIVE_DECIMALS } from './contract/chain.ts';
import { asHearthlendError, HearthlendError } from './contract/errors.ts';
import { formatBaseUnits, parseBaseUnits } from './contract/money.ts';
import type { Address } from './contract/receipt.ts';
import type { Handlers } from './contract/rpc.ts';
import { assetNamed, type SendOffer, type SendRequest } from './contract/sending.ts';
import { createSerial } from './contract/serial.ts';
import type { ToSign } from './contract/signing.ts';
import { NATIVE_TOKEN } from './contract/voucher.ts';
import type { Log } from './log/log.ts';
import type { Payments } from './payments.ts';
import { type Call, estimate } from './settlement/fees.ts';
import { lookAlike } from './settlement/look-alike.ts';
import { type ChainRpc, RpcRefusal } from './settlement/rpc.ts';
import { createSender, type Sender, type TransactionSigner, type UnsignedTransaction } from './settlement/sender.ts';
import { balanceOf, transferCall } from './settlement/transfer.ts';
import { checkedAddress } from './wallet/state.ts';
import type { Wallet } from './wallet/wallet.ts';

/** How often what was sent and is not final is looked after. */
const TEND_MS = 10_000;

export interface SendingParts {
  dataDir: string;
  payments: Pick<Payments, 'chain' | 'records'>;
  wallet: Pick<Wallet, 'status' | 'describe' | 'sign'>;
  clock(): number;
  log: Log;
}

/** Money that leaves the wallet: planned, confirmed by what its signer reads, sent, and followed to its end. */
export interface Sending {
  handlers: Pick<
    Handlers,
    'payments.send-plan' | 'payments.send' | 'payments.contacts' | 'payments.contact-put' | 'payments.contact-remove'
  >;
  /** Looks after what was sent and is not final. */
  tend(): Promise<void>;
  close(): Promise<void>;
}

export function openSending(parts: SendingParts): Sending {
  const { payments, wallet, clock, log } = parts;
  const { records } = payments;
  const book = openAddressBook(join(parts.dataDir, 'payments', 'contacts.json'));
  const signers = new Map<Address, ConfirmedSigner>();
  const senders = new Map<ChainRpc, Map<Address, Sender>>();
  const timer = setInterval(() => void tend(), TEND_MS);
  timer.unref();

  /** One after the other, so that a plan sees the sends before it. */
  const inTurn = createSerial();

  function signerOf(address: Address): ConfirmedSigner {
    const signer = signers.get(address) ?? confirmedSigner(address, wallet);
    signers.set(address, signer);
    return signer;
  }

  function senderOn(rpc: ChainRpc, address: Address): Sender {
    const ofChain = senders.get(rpc) ?? new Map<Address, Sender>();
    senders.set(rpc, ofChain);
    const sender = ofChain.get(address) ?? createSender(rpc, signerOf(address), records, clock);
    ofChain.set(address, sender);
    return sender;
  }

  /** @throws WALLET_MISSING */
  function ownAddress(): Address {
    const { kind, address } = wallet.status();
    if (kind !== 'own' || address === null) throw new HearthlendError('WALLET_MISSING');
    return address;
  }

  function sentTo(): Address[] {
    return records.all().flatMap(({ kind, subject }) => (kind === 'send' ? [subject] : []));
  }

  /** @throws WALLET_ADDRESS_INVALID for one without its checksum, CONTACT_UNKNOWN */
  function receiver(typed: string): Address {
    if (/^0x/i.test(typed.trim())) return capitalAddress(typed);
    const contact = book.find(typed);
    if (contact === null) throw new HearthlendError('CONTACT_UNKNOWN', { name: typed });
    return contact.address;
  }

  async function plan(request: SendRequest): Promise<{ offer: SendOffer; call: Call; rpc: ChainRpc }> {
    const from = ownAddress();
    const rpc = payments.chain(request.chainId);
    const { config } = rpc;
    const { asset, token, symbol, decimals } = assetNamed(config, request.asset);
    const to = receiver(request.to);
    const amount = parseBaseUnits(request.amount, decimals);
    if (amount === null || amount === 0n) throw new HearthlendError('SEND_AMOUNT_INVALID', { amount: request.amount, symbol, decimals });
    await requireFunds(rpc, { token, symbol, decimals, from, needed: amount });
    const call = transferCall(token, to, amount);
    const fees = await estimate(rpc, from, call).catch((thrown: unknown) => {
      if (!(thrown instanceof RpcRefusal)) throw thrown;
      throw new HearthlendError('CHAIN_REFUSED', { chain: config.name, detail: thrown.message.slice(0, 300) });
    });
    const costs = fees.gasLimit * fees.maxFeePerGas;
    const needed = costs + call.value;
    await requireFunds(rpc, { token: NATIVE_TOKEN, symbol: config.symbol, decimals: NATIVE_DECIMALS, from, needed });
    const described = await wallet.describe(toSign({ chainId: config.chainId, nonce: 0, ...call, ...fees }));
    const same = (other: Address) => other.toLowerCase() === to.toLowerCase();
    const contacts = book.all();
    const before = sentTo();
    const offer: SendOffer = {
      ...{ chainId: config.chainId, from, to, amount: amount.toString(), asset, symbol, decimals },
      ...{ costs: costs.toString(), costsSymbol: config.symbol },
      contact: contacts.find(({ address }) => same(address))?.name ?? null,
      sentBefore: before.some(same),
      alike: lookAlike(to, [...contacts.map(({ address }) => address), ...before, from]),
      ...described,
    };
    return { offer, call, rpc };
  }

  function tend(): Promise<void> {
    return inTurn(async () => {
      const open = records.open().filter(({ kind }) => kind === 'send');
      const chains = new Map(open.map(({ chainId, from }) => [`${chainId} ${from}`, { chainId, from }]));
      for (const { chainId, from } of chains.values()) {
        try {
          await senderOn(payments.chain(chainId), from).advance();
        } catch (thrown) {
          const { code, params } = asHearthlendError(thrown);
          log('warn', 'what was sent could not be looked after', { chainId, code, params });
        }
      }
    });
  }

  return {
    tend,
    async close() {
      clearInterval(timer);
      await inTurn(async () => undefined);
    },
    handlers: {
      'payments.send-plan': (request) => inTurn(async () => (await plan(request)).offer),
      'payments.send': ({ seen, costs, newAddress, ...request }) =>
        inTurn(async () => {
          const { offer, call, rpc } = await plan(request);
          if (offer.alike !== null && !newAddress) throw new HearthlendError('SEND_LOOKS_ALIKE', { address: offer.to, known: offer.alike });
          const signer = signerOf(offer.from);
          const sender = senderOn(rpc, offer.from);
          signer.confirm(seen);
          const sent = await sender
            .send({ kind: 'send', subject: offer.to }, call, { costs: (BigInt(costs) * 5n) / 4n })
            .finally(() => signer.confirm(null));
          log('info', 'sent', {
            chainId: offer.chainId,
            to: offer.to,
            amount: offer.amount,
            asset: offer.asset,
            hash: sent.hashes[0] ?? '',
          });
          return sent;
        }),
      'payments.contacts': async () => book.all(),
      'payments.contact-put': async ({ name, address }) => book.put({ name, address: capitalAddress(address) }),
      'payments.contact-remove': async ({ name }) => book.remove(name),
    },
  };
}

async function requireFunds(
  rpc: ChainRpc,
  { token, symbol, decimals, from, needed }: { token: Address; symbol: string; decimals: number; from: Address; needed: bigint },
): Promise<void> {
  const balance = await balanceOf(rpc, token, from);
  if (balance >= needed) return;
  const show = (amount: bigint) => formatBaseUnits(amount, decimals);
  throw new HearthlendError('FUNDS_SHORT', { address: from, balance: show(balance), needed: show(needed), symbol });
}

/** An address that came with the capitals of its checksum: money that went to a mistyped one is gone. @throws WALLET_ADDRESS_INVALID */
function capitalAddress(typed: string): Address {
  const address = checkedAddress(typed);
  if (address === typed.trim()) return address;
  throw new HearthlendError('WALLET_ADDRESS_INVALID', { address: typed.slice(0, 60), detail: 'it lacks the capitals of its checksum' });
}

interface ConfirmedSigner extends TransactionSigner {
  /** What somebody has confirmed is signed once, and again under the same nonce for more fees. Null: nothing is to be signed anew. */
  confirm(seen: string | null): void;
}

/** The wallet as somebody who pays: it signs what was confirmed and nothing else. */
function confirmedSigner(address: Address, wallet: SendingParts['wallet']): ConfirmedSigner {
  let next: string | null = null;
  const signed = new Map<string, string>();
  return {
    address,
    confirm(seen) {
      next = seen;
    },
    async sign(transaction) {
      const what = toSign(transaction);
      const key = `${transaction.chainId} ${transaction.nonce}`;
      const wanted = next ?? signed.get(key);
      next = null;
      // Confirmed before the program's last start: it is left as it is.
      if (wanted === undefined) throw new HearthlendError('WALLET_LOCKED');
      // That it still says what was confirmed, the signer sees to.
      const answer = await wallet.sign(what, wanted);
      signed.set(key, wanted);
      return answer.signed;
    },
  };
}

/** As the wallet's signer is handed it. */
export function toSign({ chainId, nonce, to, value, data, gasLimit, maxFeePerGas, maxPriorityFeePerGas }: UnsignedTransaction): ToSign {
  const fees = {
    gasLimit: gasLimit.toString(),
    maxFeePerGas: maxFeePerGas.toString(),
    maxPriorityFeePerGas: maxPriorityFeePerGas.toString(),
  };
  return { kind: 'transaction', transaction: { chainId, nonce, to, value: value.toString(), data, ...fees } };
}
