import { join } from 'node:path';
import type { SignedDelegation, WalletClaim } from './contract/delegation.ts';
import type { Sha256 } from './contract/digest.ts';
import { asHearthlendError, HearthlendError } from './contract/errors.ts';
import type { NetworkTerms } from './contract/joining.ts';
import { type MessageRef, ref } from './contract/messages.ts';
import { isPracticeCredit } from './contract/money.ts';
import type { LeaseRequest, NetworkInfo } from './contract/network.ts';
import type { NearbyNetwork, NetworkChoices, NetworkEarnings, NetworkRow } from './contract/networks.ts';
import { NetworkChoices as Choices } from './contract/networks.ts';
import type { Address, Signature } from './contract/receipt.ts';
import type { Handlers } from './contract/rpc.ts';
import { createSerial } from './contract/serial.ts';
import type { Succession } from './contract/succession.ts';
import { writeDurably } from './ledger/durable-file.ts';
import type { Log } from './log/log.ts';
import { bestNet, byNetPay, type Candidate, type HourlyCost } from './network/choosing.ts';
import { mayBePaid, sendClaim, withClaim } from './network/claims.ts';
import type { Link } from './network/connection.ts';
import { findNetworks } from './network/discovery.ts';
import { owedUnpromised, requireCreditFor } from './network/hold-back.ts';
import { type Joiner, joinNetwork, readLink, readTerms } from './network/joining.ts';
import { createNatsNetwork, type NatsNetwork } from './network/nats-network.ts';
import { quotePerHour, shardPerHour } from './network/pay.ts';
import type { Rates } from './network/rates.ts';
import { type JoinedNetwork, Records } from './network/records.ts';
import { beforeRekey, isFormer, rekeyNetwork } from './network/rekeying.ts';
import type { Payments } from './payments.ts';
import type { WorkLoop } from './work/loop.ts';
import type { Ask, AttemptKey, ConnectedNetwork, WorkChange } from './work/ports.ts';

/** What a network paid last is taken for what it pays for so long. */
const OFFER_MS = 600_000;
/** How often a network is asked what it pays now. */
const REFRESH_MS = 300_000;
const MAX_DISK_MODELS = 1024;
/** How long networks on the local network have to answer. */
const NEARBY_MS = 2500;

interface NetworksParts {
  dataDir: string;
  version: string;
  clock(): number;
  log: Log;
  worker: {
    readonly address: Address;
    readonly payee: Address;
    readonly successions: readonly Succession[];
    signDigest(digest: string): Signature;
  };
  /** The wallet's word for this worker that counts on the network of that key now; null where there is none. */
  delegation(networkKey: Address): SignedDelegation | null;
  /** The network of this program itself, which needs no joining. */
  local: { id: string; connect(): Promise<ConnectedNetwork> };
  /** Those that are worked for; this keeps it. */
  connected: ConnectedNetwork[];
  loop: Pick<WorkLoop, 'add' | 'remove'>;
  /** What the user accepts of networks where nothing else was decided. */
  acceptedIsolation(): NetworkChoices['isolation'];
  /** Whether this machine's isolation is one that both sides accept. */
  admitted(info: NetworkInfo, choices: NetworkChoices): boolean;
  /** Attempts that are on record as open. */
  open(network: string): AttemptKey[];
  earnings(network: string): NetworkEarnings;
  rates: Rates;
  /** What computes here, best first. */
  backends(): LeaseRequest['backends'];
  /** Models whose files are here. */
  diskModels(): Sha256[];
  /** Models that a network's work was with before. */
  usedModels(network: string): Sha256[];
  /** What a benchmark measured; null before the first one. */
  tokensPerSecond(): number | null;
  cost(): HourlyCost;
  /** What one whole unit of an asset is worth by a source that the user set, in the currency of the tariff; null: there is none. */
  worth(asset: string): number | null;
  /** What the networks owe. */
  payments: Pick<Payments, 'follow' | 'refusal'>;
  /** How an asset is shown that this machine knows by itself; null for others. */
  shownAs(asset: string): { symbol: string; decimals: number };
  /** Called when a row may be another. */
  onChange(): void;
}

type NetworkCalls =
  | 'network.list'
  | 'network.audits'
  | 'network.nearby'
  | 'network.preview'
  | 'network.join'
  | 'network.set'
  | 'network.leave';

/** The networks of this machine: its own, and those that were joined. */
export interface Networks {
  handlers: Pick<Handlers, NetworkCalls>;
  rows(): NetworkRow[];
  /** Joined networks with their terms and what the user decided. */
  joined(): Array<{ id: string; terms: NetworkTerms; choices: NetworkChoices; payees: readonly Address[] }>;
  /** What the wallet has signed of the worker goes to the networks that it is for, now or as soon as they can be reached. */
  tellWalletSaid(claim: WalletClaim): void;
  /** It proved wrong: no more work is taken from it until the next start. */
  /** Lets go of every network, does something while none is worked for, and takes them up again. */
  apart<T>(work: () => Promise<T>): Promise<T>;
  /** Writes down by which worker each network knows this machine: it is to be another. */
  noteWorker(): void;
  suspend(id: string, reason: MessageRef): void;
  isConnected(id: string): boolean;
  /** Connects to these; null: to its own and to all that were joined and are not paused. @throws NETWORK_UNKNOWN before anything is connected */
  start(wanted: readonly string[] | null): Promise<void>;
  order(practice: boolean): Ask[];
  tell(change: WorkChange): void;
  /** The most that any network would leave of an hour's pay, had it always work; null: not known of any. */
  bestNetPerHour(): number | null;
  close(): Promise<void>;
}

/** One joined network that is worked for. */
interface Active {
  from: ConnectedNetwork;
  network: NatsNetwork;
  info: NetworkInfo;
  unfollow(): void;
}

/** @throws DATA_DIR_UNWRITABLE */
export function openNetworks(parts: NetworksParts): Networks {
  const { clock, log, connected, loop, local, onChange } = parts;
  const records = new Records(join(parts.dataDir, 'networks'), writeDurably);
  for (const { path, error } of records.broken)
    log('error', 'a joined network can not be used', { path, code: error.code, params: error.params });
  const active = new Map<string, Active>();
  const suspended = new Map<string, MessageRef>();
  const noWork = new Map<string, MessageRef | null>();
  const took = new Map<string, MessageRef>();
  const usedModels = new Map<string, Set<Sha256>>();
  const offers = new Map<string, { perHour: bigint | null; at: number }>();
  let started = false;
  let looking: Promise<NearbyNetwork[]> | null = null;
  const refreshing = setInterval(() => {
    for (const { network } of active.values()) network.refresh().catch(() => undefined);
    for (const { id } of records.all()) void deliver(id).catch(() => undefined);
  }, REFRESH_MS);
  refreshing.unref();

  /** Joining, leaving and the like, one after the other. */
  const inTurn = createSerial();
  const delivering = createSerial();

  function known(id: string): JoinedNetwork {
    const record = records.get(id);
    if (record === undefined) throw new HearthlendError('NETWORK_UNKNOWN', { network: id });
    return record;
  }

  async function activate(id: string): Promise<void> {
    if (active.has(id)) return;
    const models = new Set(parts.usedModels(id));
    usedModels.set(id, models);
    const knows = (model: Sha256) => models.has(model);
    const network = createNatsNetwork({
      record: () => known(id),
      save: (record) => records.get(id) !== undefined && records.put({ ...record, choices: known(id).choices }),
      version: parts.version,
      clock,
      prepare: () => tellOfKey(id),
      mayBePaid: (payee) => mayBePaid(known(id), parts.worker.payee, payee),
      onLink: (link) => told(id, link),
      onInfo(info) {
        each.info = info;
        onChange();
      },
    });
    const each: Active = {
      network,
      unfollow: () => undefined,
      info: { ...known(id).access.network, sameTrustDomain: false },
      from: {
        network,
        get info() {
          return each.info;
        },
        admitted: () => parts.admitted(each.info, known(id).choices),
        refusal: () => parts.payments.refusal(id),
        wishes: () => ({
          ...wishesOf(known(id)),
          backends: parts.backends(),
          diskModels: parts.diskModels().filter(knows).slice(0, MAX_DISK_MODELS),
        }),
        knows,
      },
    };
    active.set(id, each);
    each.unfollow = parts.payments.follow(each.from);
    suspended.delete(id);
    const { address, payee } = parts.worker;
    // It connects by itself from here on; whether it does at once is no matter for the others.
    void network.connect({ address, payee, holds: parts.open(id) });
    connected.push(each.from);
    if (started) loop.add(each.from);
    onChange();
  }

  /** Who joins, or goes on there, as this machine. */
  function joiner(networkKey: Address): Joiner {
    const { address, payee, signDigest } = parts.worker;
    return { worker: address, payee, signDigest, version: parts.version, clock, delegation: parts.delegation(networkKey) };
  }

  /** A network that knows this machine by a former key is told of the present one before it is connected to. */
  async function tellOfKey(id: string): Promise<void> {
    const record = known(id);
    if (!isFormer(record, parts.worker.address)) return;
    const before = beforeRekey(record);
    records.put(before);
    const told = await rekeyNetwork(before, joiner(record.access.terms.coordinator), parts.worker.successions);
    // What was written down of it meanwhile stays.
    const { following: _, ...now } = known(id);
    records.put({ ...now, ...told });
    log('info', 'network knows the new worker key', { network: id });
  }

  /** Tells a network what the wallet said, in that order. What can't be delivered now waits; what it refuses is no use keeping. */
  function deliver(id: string): Promise<void> {
    return delivering(async () => {
      for (let record = records.get(id); record !== undefined; record = records.get(id)) {
        const [claim, ...later] = record.claims ?? [];
        if (claim === undefined) return;
        try {
          const payout = await sendClaim(record, claim);
          log('info', 'network told what the wallet said', { network: id, kind: claim.kind });
          const now = known(id);
          // What the wallet said of a worker of before is not how the present one is paid.
          const paid = payout.worker.toLowerCase() === parts.worker.address.toLowerCase() ? { payout } : {};
          records.put({ ...now, claims: later, access: { ...now.access, ...paid } });
        } catch (thrown) {
          const { code, params } = asHearthlendError(thrown);
          log('warn', 'network not told what the wallet said', { network: id, kind: claim.kind, code, params });
          if (code === 'NETWORK_UNREACHABLE' || code === 'NETWORK_BUSY') return;
          records.put({ ...known(id), claims: later });
        }
        onChange();
      }
    });
  }

  function tellAll(claim: WalletClaim): void {
    for (const record of records.all()) {
      records.put(withClaim(record, claim));
      void deliver(record.id).catch((thrown: unknown) => log('warn', 'not delivered', { detail: asHearthlendError(thrown).message }));
    }
  }

  async function deactivate(id: string): Promise<void> {
    const each = active.get(id);
    if (each === undefined) return;
    active.delete(id);
    each.unfollow();
    connected.splice(connected.indexOf(each.from), 1);
    noWork.delete(id);
    if (started) await loop.remove(each.from);
    await each.network.close();
    onChange();
  }

  function suspend(id: string, reason: MessageRef): void {
    suspended.set(id, reason);
    const each = active.get(id);
    if (each !== undefined && started) void loop.remove(each.from);
    onChange();
  }

  function told(id: string, link: Link): void {
    if (link.state === 'connected') void deliver(id).catch(() => undefined);
    const error = 'error' in link ? link.error : null;
    log(error === null ? 'info' : 'warn', `network ${link.state}`, { network: id, code: error?.code, params: error?.params });
    onChange();
  }

  function connectionOf(id: string): NetworkRow['connection'] {
    if (id === local.id) return { state: connected.some(({ info }) => info.id === id) ? 'connected' : 'off', reason: null };
    const wrong = suspended.get(id);
    if (wrong !== undefined) return { state: 'suspended', reason: wrong };
    if (records.get(id)?.choices.paused === true) return { state: 'paused', reason: null };
    const link = active.get(id)?.network.link();
    if (link === undefined) return { state: 'off', reason: null };
    return { state: link.state, reason: 'error' in link ? ref(link.error.code, link.error.params) : null };
  }

  function rows(): NetworkRow[] {
    const own = connected.find(({ info }) => info.id === local.id)?.info.asset ?? `hearth:${local.id}/credit:practice`;
    const row = (id: string, asset: string, record: JoinedNetwork | undefined): NetworkRow => ({
      id,
      terms: record?.access.terms ?? null,
      choices: record?.choices ?? null,
      joinedAt: record?.joinedAt ?? null,
      ...(record?.access.payout === undefined ? {} : { payout: record.access.payout }),
      connection: connectionOf(id),
      noWork: noWork.get(id) ?? null,
      took: took.get(id) ?? null,
      asset,
      ...(record === undefined ? parts.shownAs(asset) : shownBy(record)),
      earnings: parts.earnings(id),
    });
    return [row(local.id, own, undefined), ...records.all().map((record) => row(record.id, record.access.network.asset, record))];
  }

  /** What the user said of this network's asset, else what the source of its price says. */
  function worthOf({ choices, access }: JoinedNetwork): number | null {
    return choices.worth ?? parts.worth(access.network.asset);
  }

  function candidates(practice: boolean): (Candidate & { from: ConnectedNetwork })[] {
    return connected.flatMap((from): (Candidate & { from: ConnectedNetwork })[] => {
      const { id, asset, sameTrustDomain } = from.info;
      const base = { from, network: id, asset, perHour: null, worth: null };
      if (sameTrustDomain) {
        const own = { ...base, kind: 'own' as const, ...parts.shownAs(asset) };
        return practice ? [own, { ...own, kind: 'practice' }] : [own];
      }
      const record = known(id);
      return [{ ...base, kind: 'paid', ...shownBy(record), worth: worthOf(record), perHour: perHour(id) }];
    });
  }

  /** By what it lends next, else by what it lent last, else by what it quotes. */
  function perHour(id: string): bigint | null {
    const each = active.get(id);
    const [next] = each?.network.ahead() ?? [];
    const exact = next === undefined ? null : shardPerHour(next.shard, parts.rates);
    if (exact !== null) return exact;
    const last = offers.get(id);
    if (last?.perHour != null && clock() - last.at < OFFER_MS) return last.perHour;
    const quote = each?.info.quote;
    return quote === undefined ? null : quotePerHour(quote, parts.tokensPerSecond());
  }

  return {
    rows,
    joined: () => records.all().map(({ id, access, choices, payees = [] }) => ({ id, terms: access.terms, choices, payees })),
    tellWalletSaid: tellAll,
    suspend,
    apart: (work) =>
      inTurn(async () => {
        const ids = [...active.keys()];
        const own = connected.find(({ info }) => info.id === local.id);
        const wrong = [...suspended];
        for (const id of ids) await deactivate(id);
        if (own !== undefined) {
          connected.splice(connected.indexOf(own), 1);
          if (started) await loop.remove(own);
        }
        try {
          return await work();
        } finally {
          if (own !== undefined) {
            const again = await local.connect();
            connected.unshift(again);
            if (started) loop.add(again);
          }
          for (const id of ids) await activate(id);
          // What proved wrong stays out.
          for (const [id, reason] of wrong) suspend(id, reason);
        }
      }),
    noteWorker() {
      const { address, payee } = parts.worker;
      for (const record of records.all()) records.put({ ...record, worker: record.worker ?? address, payee: record.payee ?? payee });
    },
    isConnected: (id) => connectionOf(id).state === 'connected',
    async start(wanted) {
      const ids = wanted === null ? null : [...new Set(wanted.map((name) => named(name, local.id, records.all())))];
      if (ids === null || ids.includes(local.id)) connected.push(await local.connect());
      for (const { id, choices } of records.all()) {
        if (ids === null ? !choices.paused : ids.includes(id)) await activate(id);
      }
      started = true;
    },
    order(practice) {
      const all = candidates(practice);
      // Alone, its own jobs and practice are one question.
      if (all.every(({ from }) => from === all[0]?.from)) {
        const from = all[0]?.from;
        return from === undefined ? [] : [{ from, practice }];
      }
      return byNetPay(all, parts.cost()).flatMap(({ network, kind, reason }) => {
        const from = all.find((each) => each.network === network)?.from;
        return from === undefined ? [] : [{ from, practice: kind === 'practice', took: reason }];
      });
    },
    tell(change) {
      if (change.type === 'took') {
        const { shard, reason } = change;
        took.set(shard.network, reason);
        usedModels.get(shard.network)?.add(shard.model.digest);
        offers.set(shard.network, { perHour: shardPerHour(shard, parts.rates), at: clock() });
        log('debug', 'took a lease', { network: shard.network, shardId: shard.id, because: reason });
        onChange();
      } else if (change.type === 'no-work') {
        noWork.set(change.network, change.reason);
        onChange();
      } else if (change.type === 'fault' && change.network !== null && change.reason !== null) {
        suspended.set(change.network, change.reason);
        onChange();
      } else if (change.type === 'ended') onChange();
    },
    bestNetPerHour() {
      const offers = [...active.values()].flatMap(({ info }) => {
        if (info.quote === undefined) return [];
        const record = known(info.id);
        const perHour = quotePerHour(info.quote, parts.tokensPerSecond());
        return [{ perHour, decimals: shownBy(record).decimals, worth: worthOf(record) }];
      });
      return bestNet(offers, parts.cost());
    },
    async close() {
      clearInterval(refreshing);
      await inTurn(async () => undefined);
      await Promise.all([...active.values()].map(({ network }) => network.close()));
      active.clear();
    },
    handlers: {
      'network.list': async () => rows(),
      async 'network.audits'({ network: id }) {
        known(id);
        const each = active.get(id);
        if (each === undefined) throw new HearthlendError('NETWORK_UNREACHABLE', { network: id, detail: 'not connected' });
        return each.network.audits();
      },
      async 'network.nearby'() {
        looking ??= findNetworks(NEARBY_MS).finally(() => {
          looking = null;
        });
        return looking;
      },
      async 'network.preview'({ link }) {
        const preview = await readTerms(readLink(link));
        const owed = owedUnpromised(preview.terms, parts.tokensPerSecond());
        return { ...preview, joined: records.get(preview.terms.id) !== undefined, owedUnpromised: owed?.toString() ?? null };
      },
      'network.join': ({ link, coordinator, choices }) =>
        inTurn(async () => {
          const read = readLink(link);
          const { terms } = await readTerms(read);
          if (terms.coordinator.toLowerCase() !== coordinator.toLowerCase())
            throw new HearthlendError('INVITE_FINGERPRINT_WRONG', { at: read.at });
          if (records.get(terms.id) !== undefined || terms.id === local.id)
            throw new HearthlendError('NETWORK_JOINED', { network: terms.id });
          requireCreditFor(terms, choices.creditLimit, parts.tokensPerSecond());
          const joined = await joinNetwork(read, terms, joiner(terms.coordinator));
          const payees = [parts.worker.payee];
          records.put({ ...joined, payees, choices: Choices.parse({ isolation: parts.acceptedIsolation(), ...definedFields(choices) }) });
          log('info', 'network joined', { network: terms.id, operator: terms.operator });
          if (started && choices.paused !== true) await activate(terms.id);
          onChange();
          return rowOf(terms.id);
        }),
      'network.set': ({ network: id, choices }) =>
        inTurn(async () => {
          const record = known(id);
          requireCreditFor(record.access.terms, choices.creditLimit, parts.tokensPerSecond());
          records.put({ ...record, choices: Choices.parse({ ...record.choices, ...definedFields(choices) }) });
          if (choices.paused === true) await deactivate(id);
          if (choices.paused === false && started) await activate(id);
          onChange();
          return rowOf(id);
        }),
      'network.leave': ({ network: id }) =>
        inTurn(async () => {
          known(id);
          await deactivate(id);
          records.remove(id);
          suspended.delete(id);
          offers.delete(id);
          took.delete(id);
          log('info', 'network left', { network: id });
          onChange();
          return {};
        }),
    },
  };

  function rowOf(id: string): NetworkRow {
    return rows().find((row) => row.id === id) as NetworkRow;
  }
}

/** A network by its id, or by the address of one of its servers. @throws NETWORK_UNKNOWN */
function named(name: string, local: string, joined: readonly JoinedNetwork[]): string {
  if (name === local) return local;
  const host = URL.parse(name)?.host;
  const found = joined.find(({ id, access }) => {
    if (id === name) return true;
    return host !== undefined && host !== '' && [...access.servers, ...access.https].some((each) => URL.parse(each)?.host === host);
  });
  if (found === undefined) throw new HearthlendError('NETWORK_UNKNOWN', { network: name });
  return found.id;
}

function wishesOf({ access, choices }: JoinedNetwork): ReturnType<NonNullable<ConnectedNetwork['wishes']>> {
  const { asset } = access.network;
  const floors = [
    { unit: 'run' as const, perUnit: choices.floorPerRun },
    { unit: 'token' as const, perUnit: choices.floorPerToken },
  ].flatMap(({ unit, perUnit }) => (perUnit === null ? [] : [{ asset, unit, perUnit }]));
  return { floors, refusedCategories: choices.refusedCategories };
}

/** What a network calls its asset counts for that asset alone, and never makes practice look like money. */
function shownBy({ access: { terms, network } }: JoinedNetwork): { symbol: string; decimals: number } {
  if (isPracticeCredit(network.asset)) return { symbol: 'practice', decimals: 0 };
  return { symbol: terms.symbol, decimals: terms.decimals };
}

function definedFields<T extends object>(change: T): Partial<T> {
  return Object.fromEntries(Object.entries(change).filter(([, value]) => value !== undefined)) as Partial<T>;
}
