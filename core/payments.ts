import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { getAddress } from 'ethers';
import type { ChainConfig, TransactionRecord } from './contract/chain.ts';
import { asHearthlendError, HearthlendError } from './contract/errors.ts';
import type { NetworkTerms } from './contract/joining.ts';
import { type MessageRef, ref } from './contract/messages.ts';
import { formatBaseUnits } from './contract/money.ts';
import type { NetworkChoices } from './contract/networks.ts';
import type { ChainRow, ClaimOffer, ClaimSettings, NetworkCredit, PaymentsStatus, TransactionRow } from './contract/payments.ts';
import type { Address } from './contract/receipt.ts';
import type { Handlers } from './contract/rpc.ts';
import { createSerial } from './contract/serial.ts';
import { assetOf, type EscrowDomain, NATIVE_TOKEN, type SignedVoucher } from './contract/voucher.ts';
import { channelOf } from './contract/voucher-hash.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log/log.ts';
import { openTransactionRecords } from './payment-records.ts';
import { type ClaimRules, payableOf, securedOf, worthIt } from './settlement/claim-plan.ts';
import { planClaim, sendClaim } from './settlement/claims.ts';
import { channelFunds, signerUntil } from './settlement/escrow.ts';
import { exposureOf, overLimit, withheldSince } from './settlement/exposure.ts';
import { openGasKey } from './settlement/gas-key.ts';
import { type ChainRpc, openChainRpc, Quantity, quantity } from './settlement/rpc.ts';
import { createSender, type Sender, type TransactionSigner } from './settlement/sender.ts';
import { readTransfer } from './settlement/transfer.ts';
import { putFile } from './wallet/durable.ts';
import type { ConnectedNetwork } from './work/ports.ts';

/** How often chains are asked, and what is open is looked after. */
const TEND_MS = 60_000;
/** How often while a transaction of ours is on its way. */
const FOLLOW_MS = 10_000;
/** A batch is signed by both sides within so long, as a rule. */
const SOON_MS = 1000;
/** An authorised signer is asked for again after so long: it may have been revoked. */
const SIGNER_MS = 600_000;
const GAS_KEY_FILE = 'gas-key.json';
const SHOWN_TRANSACTIONS = 100;

/** One network as payments see it: its terms where it was joined. */
interface PayingNetwork {
  id: string;
  terms: NetworkTerms;
  choices: NetworkChoices;
  /** Whom its receipts may name, or have named, besides the present payee. */
  payees: readonly Address[];
}

export interface PaymentsParts {
  dataDir: string;
  ledger: Ledger;
  /** The worker of now, and whom it is paid to. */
  readonly worker: Address;
  readonly payee: Address;
  networks(): PayingNetwork[];
  settings(): { chains: readonly ChainConfig[]; claims: ClaimSettings };
  /** The network proved wrong: no more work is taken from it. */
  suspend(network: string, error: HearthlendError): void;
  clock(): number;
  log: Log;
  onChange(): void;
  fetcher?: typeof fetch;
}

type PaymentCalls = 'payments.status' | 'payments.plan' | 'payments.claim';

/** What networks owe this machine: their vouchers, what the chain says of them, and claims. */
export interface Payments {
  handlers: Pick<Handlers, PaymentCalls>;
  /** Takes a network's vouchers from now on, whenever it says that there are some. Gives what ends it. */
  follow(from: ConnectedNetwork): () => void;
  /** Why no more work is taken from a network just now; null while there is no reason. */
  refusal(network: string): MessageRef | null;
  /** A chain that is set up here. @throws CHAIN_UNKNOWN */
  chain(chainId: number): ChainRpc;
  /** Every transaction of ours, claims and others: one file, so one who writes it. */
  records: ReturnType<typeof openTransactionRecords>;
  /** The gas key's; null until there is one. */
  gasAddress(): Address | null;
  /** Looks after everything once: vouchers, what the chain holds, open transactions, claims. */
  tend(): Promise<void>;
  close(): Promise<void>;
}

/** A worker of this machine's, the present one or one before it, and the channel in which it is paid. */
interface OwnChannel {
  worker: Address;
  payee: Address;
  channel: string;
}

/** What the chain said last of a network's channels. */
interface ChainView {
  /** By channel. */
  secured: ReadonlyMap<string, bigint>;
  payable: bigint;
  at: number;
  trouble: MessageRef | null;
}

/** @throws DATA_DIR_UNWRITABLE */
export function openPayments(parts: PaymentsParts): Payments {
  const { ledger, clock, log } = parts;
  const folder = join(parts.dataDir, 'payments');
  const records = openTransactionRecords(folder, () => parts.onChange());
  const followed = new Map<string, ConnectedNetwork>();
  const soon = new Map<string, NodeJS.Timeout>();
  const views = new Map<string, ChainView>();
  const signers = new Map<string, { at: number; holds: boolean }>();
  const chains = new Map<string, ChainRpc>();
  const senders = new Map<number, Sender>();
  let gasKey: TransactionSigner | null = null;
  const timer = setInterval(() => void tend(), TEND_MS);
  timer.unref();
  const following = setInterval(() => {
    if (records.open().some(({ kind }) => kind === 'claim')) void inTurn(followClaims);
  }, FOLLOW_MS);
  following.unref();

  /** One after the other: two that take the same vouchers at once would record one of them twice. */
  const inTurn = createSerial();

  function paying(id: string): PayingNetwork & { domain: EscrowDomain; payer: Address; token: Address } {
    const found = parts.networks().find((network) => network.id === id);
    if (found === undefined) throw new HearthlendError('NETWORK_UNKNOWN', { network: id });
    const { settlement, asset } = found.terms;
    if (settlement === null) throw new HearthlendError('NETWORK_UNPAID', { network: id });
    const { chainId, contract, payer } = settlement;
    const domain = { chainId, contract };
    const token =
      asset === assetOf(domain, NATIVE_TOKEN)
        ? NATIVE_TOKEN
        : (/erc20:(0x[0-9a-fA-F]{40})$/.exec(asset)?.[1]?.toLowerCase() ?? NATIVE_TOKEN);
    return { ...found, domain, payer, token };
  }

  /** @throws CHAIN_UNKNOWN */
  function chainOf({ chainId }: EscrowDomain): ChainRpc {
    const config = parts.settings().chains.find((chain) => chain.chainId === chainId);
    if (config === undefined) throw new HearthlendError('CHAIN_UNKNOWN', { chainId });
    // What the user changed counts from the next question on.
    const key = JSON.stringify(config);
    const known = chains.get(key) ?? openChainRpc(config, parts.fetcher);
    chains.set(key, known);
    return known;
  }

  /** The present worker's first, one for each payee that it has had. A former one's is that of whom its last receipt names. */
  function channelsIn({ id, domain, payer, token, payees }: ReturnType<typeof paying>): OwnChannel[] {
    const former = ledger.workersOf(id).filter((worker) => !same(worker, parts.worker));
    const own = new Map([parts.payee, ...payees].map((payee) => [payee.toLowerCase(), payee]));
    const names = [
      ...[...own.values()].map((payee) => ({ worker: parts.worker, payee })),
      ...former.flatMap((worker) => {
        const { sequence } = ledger.receiptHead(id, worker);
        const [last] = ledger.receiptsOf(id, sequence, sequence, worker);
        return last === undefined ? [] : [{ worker: last.worker, payee: last.payee }];
      }),
    ];
    return names.map((each) => ({ ...each, channel: channelOf(domain, { payer, asset: token, ...each }) }));
  }

  /** Whether `signer` may sign for the payer: it is the payer, or the contract says so. */
  async function maySign(domain: EscrowDomain, payer: Address, signer: Address): Promise<boolean> {
    if (payer.toLowerCase() === signer.toLowerCase()) return true;
    const key = `${domain.chainId} ${domain.contract} ${payer} ${signer}`.toLowerCase();
    const known = signers.get(key);
    if (known !== undefined && clock() - known.at < SIGNER_MS) return known.holds;
    const until = await signerUntil(chainOf(domain), domain, payer, signer);
    const holds = until > BigInt(Math.floor(clock() / 1000));
    signers.set(key, { at: clock(), holds });
    return holds;
  }

  /** Takes what a network promises since the last voucher on record. A wrong one is kept as evidence, and ends the work for that network. */
  async function collect(from: ConnectedNetwork): Promise<void> {
    const id = from.info.id;
    const network = paying(id);
    for (const own of channelsIn(network)) if (!(await collectFor(from, network, own))) return;
  }

  /** A voucher is here before its receipts are signed for, which takes a moment: it is asked for again then. */
  function collectSoon(from: ConnectedNetwork): void {
    const { id } = from.info;
    if (soon.has(id)) return;
    const again = () => {
      soon.delete(id);
      if (followed.get(id) === from) void inTurn(() => collect(from).catch(failed(id, 'vouchers could not be taken')));
    };
    soon.set(id, setTimeout(again, SOON_MS).unref());
  }

  /** What one worker was promised. False where the network proved wrong. */
  async function collectFor(from: ConnectedNetwork, network: ReturnType<typeof paying>, own: OwnChannel): Promise<boolean> {
    const { id } = network;
    for (;;) {
      const last = ledger.promises.latest(own.channel)?.last ?? 0;
      // Asked of all but the present one only as long as something is open.
      const former = !same(own.worker, parts.worker);
      if (from.network.vouchers === undefined || (former && last >= ledger.receiptHead(id, own.worker).sequence)) return true;
      const offers = await from.network.vouchers(last, former ? own.worker : undefined, own.payee);
      let taken = 0;
      for (const offer of offers) {
        // Recorded here only once both sides have signed for its receipts; until then it is asked for again.
        if (offer.last > ledger.lastBatched(id, own.worker)) {
          collectSoon(from);
          break;
        }
        const { voucher, domain } = offer.signed;
        // Of another payee: what is promised to that one is asked for by itself.
        if (!same(voucher.payee, own.payee) && same(voucher.worker, own.worker)) continue;
        try {
          if (!same(voucher.worker, own.worker))
            throw new HearthlendError('VOUCHER_INVALID', { network: id, detail: `it is of another worker than ${own.worker}` });
          if (
            domain.chainId !== network.domain.chainId ||
            !same(domain.contract, network.domain.contract) ||
            !same(voucher.payer, network.payer)
          )
            throw new HearthlendError('VOUCHER_INVALID', { network: id, detail: 'it is not on the escrow that the terms name' });
          if (!(await maySign(domain, voucher.payer, offer.signer)))
            throw new HearthlendError('VOUCHER_INVALID', {
              network: id,
              detail: `the escrow does not let ${offer.signer} sign for its payer`,
            });
          ledger.record([{ kind: 'voucher', at: clock(), network: id, ...offer }]);
          taken += 1;
        } catch (thrown) {
          const error = asHearthlendError(thrown);
          if (error.code !== 'VOUCHER_INVALID') throw thrown;
          ledger.record([
            { kind: 'voucher.refused', at: clock(), network: id, signed: offer.signed, detail: String(error.params.detail ?? '') },
          ]);
          parts.suspend(id, error);
          return false;
        }
      }
      if (taken > 0) parts.onChange();
      if (taken === 0 || taken < offers.length) return true;
    }
  }

  /** Asks the chain what a network's channels hold, and records what was paid since. */
  async function look(id: string): Promise<void> {
    const network = paying(id);
    const { domain, payer, token } = network;
    try {
      const rpc = chainOf(domain);
      const head = await rpc.head();
      const deep = head - rpc.config.confirmations + 1;
      const secured = new Map<string, bigint>();
      let payable = 0n;
      // What earmarks don't cover comes from one deposit, whichever channel takes it first.
      let taken = 0n;
      for (const { worker, payee, channel } of channelsIn(network)) {
        const names = { payer, worker, payee, asset: token };
        const found = await channelFunds(rpc, domain, names, quantity(head));
        const left = found.deposit.balance - taken;
        const funds = { ...found, deposit: { ...found.deposit, balance: left > 0n ? left : 0n } };
        const latest = ledger.promises.latest(channel);
        const pays = latest === null ? 0n : payableOf(latest.signed, funds).pays;
        secured.set(channel, securedOf(funds));
        payable += pays;
        taken += pays > funds.earmark.amount ? pays - funds.earmark.amount : 0n;
        if (latest === null || funds.claimed === ledger.promises.claimed(channel) || deep < 0) continue;
        // What a reorganisation could still take back is not paid yet.
        recordPaid(channel, (await channelFunds(rpc, domain, names, quantity(deep))).claimed, deep);
      }
      views.set(id, { secured, payable, at: clock(), trouble: null });
    } catch (thrown) {
      const { code, params } = asHearthlendError(thrown);
      const before = views.get(id);
      // What the chain can't say secures nothing: better no work than work for nothing.
      views.set(id, { secured: new Map(), payable: 0n, at: before?.at ?? 0, trouble: ref(code, params) });
      log('warn', 'a chain could not be asked', { network: id, code, params });
    }
  }

  function recordPaid(channel: string, claimed: bigint, block: number): void {
    const before = ledger.promises.claimed(channel);
    if (claimed <= before) return;
    // Ours, where it is as deep as what was paid, and nothing else is on record of it: anyone may send a claim.
    const own = records.all().findLast(({ kind, subject, state, block: at, hashes }) => {
      const there = (state === 'mined' || state === 'final') && at !== null && at.number <= block;
      return kind === 'claim' && subject === channel && there && hashes.every((hash) => ledger.promises.paidBy(hash) === null);
    });
    const amount = (claimed - before).toString();
    const transactionHash = own?.hashes.at(-1) ?? null;
    ledger.record([{ kind: 'claim.paid', at: clock(), channel, amount, cumulative: claimed.toString(), transactionHash, block }]);
    parts.onChange();
  }

  function creditOf(network: PayingNetwork): NetworkCredit | null {
    const { id, terms, choices } = network;
    if (terms.settlement === null) return null;
    const { accepted, promised, paid } = ledger.networkTotals(id);
    const view = views.get(id);
    const known = view === undefined || view.trouble !== null ? null : view.secured;
    let [short, expected, exposure] = [0n, 0n, 0n];
    let oldest: number | null = null;
    for (const [worker, channels] of byWorker(channelsIn(paying(id)))) {
      const latest = channels.flatMap(({ channel }) => ledger.promises.latest(channel) ?? []);
      const next = Math.max(0, ...latest.map(({ last }) => last)) + 1;
      const [open] = ledger.receiptsOf(id, next, next, worker);
      if (open !== undefined) oldest = Math.min(oldest ?? open.time, open.time);
      for (const { expected: due, signed } of latest) {
        short += BigInt(due) - BigInt(signed.voucher.cumulativeAmount);
        expected += BigInt(due);
      }
      const sum = (of: (channel: string) => bigint) => channels.reduce((all, { channel }) => all + of(channel), 0n);
      // What is set aside for one worker pays no other.
      const secured = sum((channel) => known?.get(channel) ?? 0n);
      exposure += exposureOf({
        accepted: ledger.acceptedOf(id, worker),
        paid: sum((channel) => ledger.promises.claimed(channel)),
        secured,
      });
    }
    const secured = known === null ? null : [...known.values()].reduce((sum, amount) => sum + amount, 0n);
    const limit = choices.creditLimit === null ? null : BigInt(choices.creditLimit);
    const over = overLimit(exposure, limit);
    const unvouched = BigInt(accepted) - expected;
    const shown = { symbol: terms.symbol };
    return {
      network: id,
      asset: terms.asset,
      symbol: terms.symbol,
      decimals: terms.decimals,
      ...pick(terms.settlement),
      accepted,
      promised,
      paid,
      short: (short > 0n ? short : 0n).toString(),
      unvouched: (unvouched > 0n ? unvouched : 0n).toString(),
      withheldSince: withheldSince(oldest === null ? null : oldest * 1000, terms.holdBackMs + terms.settlement.epochMs, clock()),
      secured: secured?.toString() ?? null,
      payable: view === undefined || view.trouble !== null ? null : view.payable.toString(),
      exposure: exposure.toString(),
      limit: choices.creditLimit,
      stopped: over === null ? null : ref('reason.over-credit', { network: id, over: formatBaseUnits(over, terms.decimals), ...shown }),
      trouble: view?.trouble ?? null,
      checkedAt: view === undefined || view.at === 0 ? null : view.at,
    };
  }

  function gas(): TransactionSigner {
    gasKey ??= openGasKey({
      path: join(folder, GAS_KEY_FILE),
      putNew: (path, text) => putFile(path, text, 'new'),
      capPerDay: () => BigInt(parts.settings().claims.gasCapPerDay),
      escrows: () =>
        new Map(
          parts.networks().flatMap(({ terms }) => {
            if (terms.settlement === null) return [];
            return [[terms.settlement.chainId, terms.settlement.contract.toLowerCase()] as const];
          }),
        ),
      clock,
    });
    return gasKey;
  }

  /** The gas key where there is one, or has to be for what the user wants. */
  function gasKeyShown(): Pick<PaymentsStatus, 'gasKey' | 'gasKeyTrouble'> {
    const { automatic, gasCapPerDay } = parts.settings().claims;
    if (gasKey === null && !automatic && !existsSync(join(folder, GAS_KEY_FILE))) return { gasKey: null, gasKeyTrouble: null };
    try {
      return { gasKey: { address: gas().address, capPerDay: gasCapPerDay }, gasKeyTrouble: null };
    } catch (thrown) {
      const { code, params } = asHearthlendError(thrown);
      return { gasKey: null, gasKeyTrouble: ref(code, params) };
    }
  }

  function chainRow(config: ChainConfig): ChainRow {
    const { chainId, name, symbol, explorer, confirmations, tokens, test } = config;
    return { chainId, name, symbol, explorer, confirmations, tokens, test, head: chains.get(JSON.stringify(config))?.seenHead ?? null };
  }

  function transactionRow(record: TransactionRecord): TransactionRow {
    if (record.kind === 'claim') {
      const paid = record.hashes.map((hash) => ledger.promises.paidBy(hash)).find((each) => each !== null);
      return { ...record, asset: paid?.asset ?? null, amount: paid?.amount.toString() ?? null };
    }
    const call = records.call(record);
    const sent = call === null ? null : readTransfer(call);
    if (sent === null) return { ...record, asset: null, amount: null };
    return { ...record, asset: assetOf({ chainId: record.chainId, contract: NATIVE_TOKEN }, sent.token), amount: sent.amount.toString() };
  }

  function senderOn(rpc: ChainRpc): Sender {
    const { chainId } = rpc.config;
    const sender = senders.get(chainId) ?? createSender(rpc, gas(), records, clock);
    senders.set(chainId, sender);
    return sender;
  }

  /** The last voucher of each of a network's channels on its escrow. */
  function vouchersOf(id: string): SignedVoucher[] {
    const { domain } = paying(id);
    return ledger.promises
      .latestOfAll()
      .filter(
        ({ network, signed }) =>
          network === id && signed.domain.chainId === domain.chainId && same(signed.domain.contract, domain.contract),
      )
      .map(({ signed }) => signed);
  }

  function rules(): ClaimRules {
    const { least, maxFeeBasisPoints } = parts.settings().claims;
    const entries = least.map(
      ({ asset, amount }) => [/erc20:(0x.{40})$/.exec(asset)?.[1]?.toLowerCase() ?? NATIVE_TOKEN, BigInt(amount)] as const,
    );
    return { least: new Map(entries), maxFeeBasisPoints: BigInt(maxFeeBasisPoints) };
  }

  async function plan(id: string) {
    const rpc = chainOf(paying(id).domain);
    return { rpc, plan: await planClaim(rpc, gas().address, vouchersOf(id)) };
  }

  async function claim(id: string) {
    const made = await plan(id);
    const sent = await sendClaim(senderOn(made.rpc), made.plan);
    log('info', 'claim sent', { network: id, hash: sent.hashes[0], costs: made.plan.costs.toString() });
    return sent;
  }

  /** Sends a claim where the user wants that without being asked, none is under way, and it is worth it. */
  async function claimByItself(id: string): Promise<void> {
    if (!parts.settings().claims.automatic) return;
    const channels = new Set(vouchersOf(id).map(({ domain, voucher }) => channelOf(domain, voucher)));
    if (channels.size === 0 || records.open().some(({ subject }) => channels.has(subject))) return;
    try {
      const made = await plan(id);
      if (worthIt(made.plan, NATIVE_TOKEN, rules()) === 'yes') await claim(id);
    } catch (thrown) {
      const { code, params } = asHearthlendError(thrown);
      if (code !== 'CLAIM_NOTHING' && code !== 'CLAIM_ESCROW_EMPTY') log('warn', 'nothing was claimed', { network: id, code, params });
    }
  }

  const failed = (id: string, what: string) => (thrown: unknown) => {
    const { code, params } = asHearthlendError(thrown);
    log('warn', what, { network: id, code, params });
  };

  /** Sees how our claims fare. What one has paid is read off the chain as soon as it is final. */
  async function followClaims(): Promise<void> {
    // Sends are the wallet's, not the gas key's.
    const open = records.open().filter(({ kind }) => kind === 'claim');
    for (const chainId of new Set(open.map((record) => record.chainId))) {
      try {
        const ended = (await senderOn(chainOf({ chainId, contract: NATIVE_TOKEN })).advance()).some(({ state }) => state === 'final');
        if (!ended) continue;
        for (const { id, terms } of parts.networks()) if (terms.settlement?.chainId === chainId) await look(id);
      } catch (thrown) {
        failed(String(chainId), 'open transactions could not be looked after')(thrown);
      }
    }
  }

  function tend(): Promise<void> {
    return inTurn(async () => {
      for (const from of followed.values()) {
        const { id } = from.info;
        if (parts.networks().find((network) => network.id === id)?.terms.settlement == null) continue;
        await collect(from).catch(failed(id, 'vouchers could not be taken'));
      }
      // First, so that what was paid is put down to the transaction that paid it.
      await followClaims();
      for (const { id, terms } of parts.networks()) {
        if (terms.settlement === null) continue;
        await look(id);
        await claimByItself(id);
      }
      parts.onChange();
    });
  }

  return {
    follow(from) {
      const { id } = from.info;
      followed.set(id, from);
      const take = () => {
        if (parts.networks().find((network) => network.id === id)?.terms.settlement == null) return;
        void inTurn(() => collect(from).catch(failed(id, 'vouchers could not be taken')));
      };
      take();
      // What the chain holds is known from the beginning, not from the first round on.
      void inTurn(async () => {
        if (parts.networks().find((network) => network.id === id)?.terms.settlement == null) return;
        await look(id);
        parts.onChange();
      });
      const unsubscribe = from.network.subscribe((event) => {
        if (event.type === 'voucher') take();
      });
      return () => {
        unsubscribe();
        if (followed.get(id) === from) followed.delete(id);
      };
    },
    refusal(id) {
      const network = parts.networks().find((each) => each.id === id);
      // Asked before every lease: where nothing was limited there is nothing to reckon.
      if (network === undefined || network.choices.creditLimit === null) return null;
      return creditOf(network)?.stopped ?? null;
    },
    chain: (chainId) => chainOf({ chainId, contract: NATIVE_TOKEN }),
    records,
    gasAddress: () => gasKeyShown().gasKey?.address ?? null,
    tend,
    async close() {
      clearInterval(timer);
      clearInterval(following);
      for (const each of soon.values()) clearTimeout(each);
      await inTurn(async () => undefined);
    },
    handlers: {
      'payments.status': async (): Promise<PaymentsStatus> => ({
        networks: parts.networks().flatMap((network) => creditOf(network) ?? []),
        ...gasKeyShown(),
        chains: parts.settings().chains.map(chainRow),
        transactions: records.all().slice(-SHOWN_TRANSACTIONS).reverse().map(transactionRow),
      }),
      'payments.plan': ({ network }): Promise<ClaimOffer> =>
        inTurn(async () => {
          const made = await plan(network);
          const { address } = gas();
          const balance = await made.rpc.ask('eth_getBalance', [address, 'latest'], Quantity);
          return {
            network,
            costs: made.plan.costs.toString(),
            gasAddress: address,
            gasBalance: balance.toString(),
            symbol: made.rpc.config.symbol,
            parts: made.plan.parts.map(({ voucher, pays, owed }) => ({
              payee: getAddress(voucher.voucher.payee),
              asset: assetOf(voucher.domain, voucher.voucher.asset),
              pays: pays.toString(),
              owed: owed.toString(),
            })),
            verdict: worthIt(made.plan, NATIVE_TOKEN, rules()),
          };
        }),
      'payments.claim': ({ network }) => inTurn(() => claim(network)),
    },
  };
}

function pick({ chainId, contract, payer }: { chainId: number; contract: Address; payer: Address }) {
  return { chainId, contract, payer };
}

function byWorker(channels: readonly OwnChannel[]): Map<Address, OwnChannel[]> {
  const workers = new Map<Address, OwnChannel[]>();
  for (const each of channels) workers.set(each.worker, [...(workers.get(each.worker) ?? []), each]);
  return workers;
}

function same(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
