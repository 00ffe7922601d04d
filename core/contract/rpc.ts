import { z } from 'zod';
import { ApiKey, ApiKeyName } from './api-keys.ts';
import { AuditReport } from './audits.ts';
import { BackendReport, ProvenHardware } from './backends.ts';
import { MAX_PARTS } from './batch.ts';
import { BenchmarkHistory, BenchmarkProgress, BenchmarkResult } from './benchmark.ts';
import { TransactionRecord } from './chain.ts';
import { DELEGATION_DAYS, WalletSignature } from './delegation.ts';
import { Bytes32 } from './digest.ts';
import { EARNINGS_CALLS } from './earnings.ts';
import { AgreedClaim, ClaimWish, IdentityClaim, IdentityStatus, RekeyPlan } from './identity.ts';
import { IsolationReport } from './isolation.ts';
import { AddedModel, CatalogueRow, HubAccess, ModelPlan, ModelProgress, ModelSourceText } from './models.ts';
import { JobStatus } from './network.ts';
import { JoinLinkText, NearbyNetwork, NetworkChoicesChange, NetworkPreview, NetworkRow } from './networks.ts';
import { ChainBalances, ClaimOffer, PaymentsStatus } from './payments.ts';
import { Decision, PauseRecord, PolicyStatus, RuleName, Signals } from './policy.ts';
import { Address } from './receipt.ts';
import { RulesChange } from './rules.ts';
import { Sampling } from './sampler.ts';
import { Sealed, SealKey } from './seal.ts';
import { ConfirmedSend, Contact, ContactName, MAX_CONTACTS, SendOffer, SendRequest } from './sending.ts';
import { Settings, SettingsChange } from './settings.ts';
import { NetworkId } from './shard.ts';
import { Described } from './signing.ts';
import { AssetEarnings, Snapshot } from './snapshot.ts';
import { MAX_STAGES, SplitManifest } from './stages.ts';
import { TelemetryHistory, TelemetrySample } from './telemetry.ts';
import { MAX_SPEND_LIMITS, SpendLimit, WalletStatus } from './wallet.ts';

/**
 * Who may call. `screen`: the UI, once it has its session token. `owner`: whoever can read the agent's 0600 endpoint file, which is the
 * command line of the same user; only it may name files.
 */
export type Scope = 'screen' | 'owner';

/** Calls of one kind of page: the agent's (CALLS), or another's. */
export type CallTable = Readonly<Record<string, CallDefinition>>;

interface CallDefinition {
  scope: Scope;
  input: z.ZodType;
  output: z.ZodType;
}

const nothing = z.strictObject({});
const FilePath = z.string().min(1).max(4096);
/** `file`: which graph of the source; null where it has only one. */
const modelRequest = { source: ModelSourceText, file: z.string().min(1).max(512).nullable(), hub: HubAccess };
/** Where requests are answered: null where nobody listens just now; `problem` is an error's code. */
const requestAddress = { address: z.string().nullable(), port: z.int(), problem: z.string().nullable() };
const sealed = z.strictObject({ sealed: Sealed });
const revealed = z.strictObject({ status: WalletStatus, sealed: Sealed });

/** A check of the ledger: `ok`, or what is wrong and where. */
export const LedgerVerification = z.strictObject({
  ok: z.boolean(),
  entries: z.int().min(0),
  receipts: z.int().min(0),
  batches: z.int().min(0),
  headHash: z.string().nullable(),
  problems: z.array(z.strictObject({ code: z.string(), sequence: z.int().nullable(), detail: z.string() })).max(100),
});
export type LedgerVerification = z.infer<typeof LedgerVerification>;

/** Every call: name → who may call it, what goes in, what comes out. Both ends of Electron IPC and WebSocket are derived from this. */
export const CALLS = {
  /** The snapshot, and from then on the connection receives events. */
  'app.watch': { scope: 'screen', input: nothing, output: Snapshot },
  /** Pauses for a time, or (null) until told otherwise. `untilIdle`: until the user is away. `finish`: the task that runs is handed in first. */
  'work.pause': {
    scope: 'screen',
    input: z.strictObject({
      forMs: z.int().min(1000).max(86_400_000).nullable(),
      untilIdle: z.boolean().optional(),
      finish: z.boolean().optional(),
    }),
    output: nothing,
  },
  /** Ends what the user said of pausing and starting. The rules count as ever. */
  'work.resume': { scope: 'screen', input: nothing, output: nothing },
  /** Works for so long in spite of the rules that say no now, which the answer names, and of no others. */
  'work.start': {
    scope: 'screen',
    input: z.strictObject({ forMs: z.int().min(60_000).max(604_800_000) }),
    output: z.strictObject({ overrides: z.array(RuleName), until: z.int() }),
  },
  'policy.status': { scope: 'screen', input: nothing, output: PolicyStatus },
  /** What would be decided if these were the signals, by the rules as they are, or changed so. */
  'policy.test': {
    scope: 'screen',
    input: z.strictObject({ signals: Signals, rules: RulesChange.default({}) }),
    output: z.strictObject({ decisions: z.array(Decision).max(129) }),
  },
  /** The files of the user's programs that run now, to be put on the list. Asked when the user wants to add one. */
  'policy.programs': { scope: 'screen', input: nothing, output: z.array(z.string().min(1).max(260)).max(500) },
  /** The pauses that touch a time (ms since 1970), the last 1000 of them, oldest first. */
  'policy.history': {
    scope: 'screen',
    input: z.strictObject({ from: z.int().min(0), to: z.int().min(0) }),
    output: z.array(PauseRecord).max(1000),
  },
  'practice.extend': { scope: 'screen', input: z.strictObject({ shards: z.int().min(1).max(10_000) }), output: nothing },
  /** Puts a prompt to the practice model; the answer comes in `prompt.text` events under the id. */
  'prompt.ask': {
    scope: 'screen',
    input: z.strictObject({ prompt: z.string().min(1).max(400), maxNewTokens: z.int().min(1).max(120), sampling: Sampling }),
    output: z.strictObject({ jobId: z.string() }),
  },
  /** Puts a prompt to a decoder of the owner's: an .onnx file, a folder, or an added model's name. The answer comes as that to `prompt.ask`. */
  'prompt.run': {
    scope: 'owner',
    input: z.strictObject({
      model: FilePath,
      prompt: z.string().min(1).max(100_000),
      maxNewTokens: z.int().min(1).max(1_000_000),
      sampling: Sampling,
    }),
    output: z.strictObject({ jobId: z.string() }),
  },
  'job.list': { scope: 'screen', input: nothing, output: z.array(JobStatus) },
  'job.show': { scope: 'screen', input: z.strictObject({ jobId: z.string() }), output: JobStatus },
  'job.cancel': { scope: 'screen', input: z.strictObject({ jobId: z.string() }), output: JobStatus },
  /** Runs a model on an .npz of inputs: a file by its absolute path, or a model that was added, by its name or digest. Progress comes in `job.changed`; `job.save` writes the outputs. */
  'job.submit': {
    scope: 'owner',
    input: z.strictObject({
      ...{ model: FilePath, inputs: FilePath, threads: z.int().min(0).max(256), wallMs: z.int().min(1).max(86_400_000) },
      /** In so many stages, each with a worker of its own; the whole model in one where left out. */
      stages: z.int().min(1).max(MAX_STAGES).optional(),
      /** In so many tasks, where the inputs are a batch; where that is worth it, if left out. */
      split: z.int().min(1).max(MAX_PARTS).optional(),
      /** Where the inputs are a text's `input_ids` alone: how many tokens a decoder makes of it at most. */
      maxNewTokens: z.int().min(1).max(1_000_000).optional(),
    }),
    output: JobStatus,
  },
  /** Cuts a model into stages, into a folder. `inputs`: an .npz to try them with; made where left out. */
  'model.split': {
    scope: 'owner',
    input: z.strictObject({ model: FilePath, stages: z.int().min(1).max(MAX_STAGES), out: FilePath, inputs: FilePath.optional() }),
    output: SplitManifest,
  },
  'job.save': {
    scope: 'owner',
    input: z.strictObject({ jobId: z.string(), outputs: FilePath }),
    output: z.strictObject({ tensors: z.int(), bytes: z.int() }),
  },
  /** A new key for programs that send work here. `address`: where they send it, once the agent works; `problem`: an error's code. */
  'key.create': {
    scope: 'owner',
    input: z.strictObject({ name: ApiKeyName }),
    output: z.strictObject({ key: ApiKey, secret: z.string(), ...requestAddress }),
  },
  'key.list': { scope: 'owner', input: nothing, output: z.strictObject({ keys: z.array(ApiKey).max(1000), ...requestAddress }) },
  /** By its id or its name. */
  'key.remove': { scope: 'owner', input: z.strictObject({ key: z.string().min(1).max(64) }), output: ApiKey },
  /** What `model.add` would fetch, with its licence; the revision is pinned in `origin`. */
  'model.plan': { scope: 'owner', input: z.strictObject(modelRequest), output: ModelPlan },
  /** Fetches a model and keeps it until it is removed. Progress comes in `model.progress`. */
  'model.add': {
    scope: 'owner',
    input: z.strictObject({
      ...modelRequest,
      /** The commit that was looked at: a branch may have moved since. */
      pin: z
        .string()
        .regex(/^[0-9a-f]{40}$/)
        .nullable(),
      acceptMissingLicence: z.boolean(),
    }),
    output: AddedModel,
  },
  /** Ends the adding of a source that is under way; what has come is kept for the next try. */
  'model.cancel': { scope: 'owner', input: z.strictObject({ source: ModelSourceText }), output: nothing },
  'model.list': { scope: 'screen', input: nothing, output: z.array(AddedModel).max(10_000) },
  'model.show': { scope: 'screen', input: z.strictObject({ model: ModelSourceText }), output: AddedModel },
  'model.remove': { scope: 'owner', input: z.strictObject({ model: ModelSourceText }), output: AddedModel },
  'model.catalogue': { scope: 'screen', input: nothing, output: z.array(CatalogueRow).max(200) },
  ...EARNINGS_CALLS,
  'earnings.summary': { scope: 'screen', input: nothing, output: z.array(AssetEarnings) },
  'ledger.verify': { scope: 'screen', input: nothing, output: LedgerVerification },
  'ledger.export': {
    scope: 'owner',
    input: z.strictObject({
      format: z.enum(['csv', 'json']),
      from: z.int().nullable(),
      to: z.int().nullable(),
      path: FilePath,
      /** One line for each receipt and each claim, for the tax office, instead of one for each attempt; CSV alone. */
      tax: z.boolean().default(false),
    }),
    output: z.strictObject({ rows: z.int().min(0) }),
  },
  'doctor.report': {
    scope: 'screen',
    input: z.strictObject({ isolation: z.boolean() }),
    output: z.strictObject({
      hardware: ProvenHardware,
      /** Which workers compute now, and why no GPU does, where none does. */
      computing: BackendReport.pick({ workers: true, reason: true }),
      isolation: IsolationReport,
    }),
  },
  /** The last five minutes of what the machine told while it worked; what comes after is in `telemetry.sample`. */
  'telemetry.history': { scope: 'screen', input: nothing, output: TelemetryHistory },
  /**
   * Measures this machine: ordinary work is set aside meanwhile. `quick`: seconds instead of minutes. Where other programs are at work it refuses
   * (BENCHMARK_BUSY, BENCHMARK_NOISY), or with `evenIfBusy` says so in the result. Progress comes in `benchmark.progress`.
   */
  'benchmark.run': {
    scope: 'screen',
    input: z.strictObject({ quick: z.boolean(), evenIfBusy: z.boolean() }),
    output: BenchmarkResult,
  },
  /** Ends the one that runs, which answers CANCELLED; resolves when ordinary work is put back. */
  'benchmark.cancel': { scope: 'screen', input: nothing, output: nothing },
  'benchmark.history': { scope: 'screen', input: nothing, output: BenchmarkHistory },
  'settings.get': { scope: 'screen', input: nothing, output: Settings },
  'settings.set': { scope: 'screen', input: SettingsChange, output: Settings },
  'network.list': { scope: 'screen', input: nothing, output: z.array(NetworkRow).max(65) },
  /** What an invitation leads to, to be read before joining. Uses nothing of it up. */
  'network.preview': { scope: 'screen', input: z.strictObject({ link: JoinLinkText }), output: NetworkPreview },
  /** Joins; `coordinator` is the one whose terms were read. The invitation is used up. */
  'network.join': {
    scope: 'screen',
    input: z.strictObject({ link: JoinLinkText, coordinator: Address, choices: NetworkChoicesChange.default({}) }),
    output: NetworkRow,
  },
  'network.set': { scope: 'screen', input: z.strictObject({ network: NetworkId, choices: NetworkChoicesChange }), output: NetworkRow },
  /** How this machine stands there, and its latest audits. */
  'network.audits': { scope: 'screen', input: z.strictObject({ network: NetworkId }), output: AuditReport },
  /** Those that make themselves known on the local network, within some seconds. To join one takes an invitation all the same. */
  'network.nearby': { scope: 'screen', input: nothing, output: z.array(NearbyNetwork).max(64) },
  /** Hands back what runs for it, and deletes this machine's key there. What was earned stays in the ledger. */
  'network.leave': { scope: 'screen', input: z.strictObject({ network: NetworkId }), output: nothing },
  /** What each network owes, what secures it, and what was claimed. */
  'payments.status': { scope: 'screen', input: nothing, output: PaymentsStatus },
  /** What a claim would cost and bring now. */
  'payments.plan': { scope: 'screen', input: z.strictObject({ network: NetworkId }), output: ClaimOffer },
  'payments.claim': { scope: 'screen', input: z.strictObject({ network: NetworkId }), output: TransactionRecord },
  /** What sending would cost, and what the unlocked wallet reads. */
  'payments.send-plan': { scope: 'screen', input: SendRequest, output: SendOffer },
  /** What the wallet here, else the address that is paid, has on a chain. @throws CHAIN_* */
  'payments.balances': { scope: 'screen', input: z.strictObject({ chainId: z.int().min(1) }), output: ChainBalances },
  /** Sends what was planned. Not for pages: what has got into one could confirm for its user. */
  'payments.send': { scope: 'owner', input: ConfirmedSend, output: TransactionRecord },
  'payments.contacts': { scope: 'screen', input: nothing, output: z.array(Contact).max(MAX_CONTACTS) },
  'payments.contact-put': { scope: 'owner', input: z.strictObject({ name: ContactName, address: z.string().max(100) }), output: Contact },
  'payments.contact-remove': { scope: 'owner', input: z.strictObject({ name: ContactName }), output: Contact },
  /**
   * The same for pages, which an unlocked wallet alone is not enough for: each with the password, sealed for the signer over what was shown
   * (`seen` of the send or claim, `contactSeen` of the contact), and good for once.
   */
  'approved.send': { scope: 'screen', input: z.strictObject({ ...ConfirmedSend.shape, sealed: Sealed }), output: TransactionRecord },
  'approved.contact': {
    scope: 'screen',
    input: z.strictObject({ change: z.enum(['put', 'remove']), contact: Contact, sealed: Sealed }),
    output: Contact,
  },
  'approved.sign': {
    scope: 'screen',
    input: z.strictObject({ claim: IdentityClaim, seen: Bytes32, sealed: Sealed }),
    output: IdentityStatus,
  },
  'identity.show': { scope: 'screen', input: nothing, output: IdentityStatus },
  /** What the wallet is to sign about this machine's worker. */
  'identity.prepare': { scope: 'screen', input: ClaimWish, output: IdentityClaim },
  /** The same as wallets elsewhere take it: EIP-712 JSON for `eth_signTypedData_v4`. */
  'identity.typed-data': { scope: 'screen', input: z.strictObject({ claim: IdentityClaim }), output: z.strictObject({ json: z.string() }) },
  /** What the unlocked wallet here reads of it, and its signature, which is kept. */
  'identity.describe': { scope: 'screen', input: z.strictObject({ claim: IdentityClaim }), output: Described },
  'identity.sign': { scope: 'owner', input: z.strictObject({ claim: IdentityClaim, seen: Bytes32 }), output: IdentityStatus },
  /** Keeps what a wallet elsewhere signed. */
  'identity.keep': {
    scope: 'screen',
    input: z.strictObject({ claim: IdentityClaim, signature: WalletSignature }),
    output: IdentityStatus,
  },
  /** The worker key that is to follow this one, made and not used yet. `days`: how long the wallet is to let it earn. */
  'identity.rekey-plan': {
    scope: 'screen',
    input: z.strictObject({ days: z.int().min(1).max(DELEGATION_DAYS.most) }),
    output: RekeyPlan,
  },
  /** Puts it in the place of this one: work is set aside meanwhile, and every network is told. */
  'identity.rekey': { scope: 'owner', input: z.strictObject({ agreed: z.array(AgreedClaim).max(2) }), output: IdentityStatus },
  'wallet.status': { scope: 'screen', input: nothing, output: WalletStatus },
  /** Starts the wallet's process where it isn't running. Secrets go to it sealed to this key; the agent passes them on unread. */
  'wallet.begin': { scope: 'screen', input: nothing, output: z.strictObject({ signerKey: SealKey }) },
  /** What is sealed in each is in WALLET_SECRETS, under the call's name. The answers reveal secrets only to the key sealed in the request. */
  'wallet.create': { scope: 'screen', input: sealed, output: revealed },
  'wallet.import': { scope: 'screen', input: sealed, output: WalletStatus },
  'wallet.unlock': { scope: 'screen', input: sealed, output: WalletStatus },
  'wallet.reveal': { scope: 'screen', input: sealed, output: revealed },
  'wallet.confirm': { scope: 'screen', input: sealed, output: WalletStatus },
  'wallet.limit': { scope: 'screen', input: sealed, output: WalletStatus },
  'wallet.limits': { scope: 'screen', input: nothing, output: z.array(SpendLimit).max(MAX_SPEND_LIMITS) },
  /** Kills the wallet's process, and the key with it. Shells call it when the machine goes to sleep. */
  'wallet.lock': { scope: 'screen', input: nothing, output: WalletStatus },
  /** The address of a wallet elsewhere to be paid to; null: no more. */
  'wallet.watch': { scope: 'screen', input: z.strictObject({ address: z.string().max(100).nullable() }), output: WalletStatus },
  /** The encrypted keystore V3 file as it is. */
  'wallet.keystore': { scope: 'owner', input: nothing, output: z.strictObject({ json: z.string() }) },
  /** Stops the agent: `now` drops the shard that runs, otherwise it is finished and submitted first. */
  'agent.stop': { scope: 'owner', input: z.strictObject({ now: z.boolean() }), output: nothing },
  /** A single-use code, valid for 30 s, that a page exchanges for a session token. */
  'session.code': { scope: 'owner', input: nothing, output: z.strictObject({ url: z.string(), code: z.string() }) },
} as const satisfies Record<string, CallDefinition>;

/** Every event that an agent sends to those who watch. */
export const EVENTS = {
  /** Top-level fields of the snapshot that are new. */
  changed: Snapshot.partial(),
  /** One more piece of the text of the shard being computed: `text` is that piece alone, to be appended; `tokens` the count so far. */
  'current.text': z.strictObject({ shardId: z.string(), attempt: z.int(), text: z.string(), tokens: z.int() }),
  /** The answer to `prompt.ask` or `prompt.run` so far: `text` is all of it, without the prompt; `done` with the last one. `error` is an error's code. */
  'prompt.text': z.strictObject({
    jobId: z.string(),
    text: z.string(),
    tokens: z.int(),
    done: z.boolean(),
    tokensPerSecond: z.number().nullable(),
    error: z.string().nullable(),
  }),
  'job.changed': JobStatus,
  'wallet.changed': WalletStatus,
  /** `payments.status` may be another. */
  'payments.changed': nothing,
  /** All of them, when one is another. */
  'network.changed': z.array(NetworkRow).max(65),
  'model.progress': ModelProgress,
  /** What is being measured now; null when it is over, however it ended. */
  'benchmark.progress': BenchmarkProgress.nullable(),
  /** What the machine tells just now: once a second while it works, never while it doesn't. */
  'telemetry.sample': TelemetrySample,
} as const satisfies Record<string, z.ZodType>;

export type CallName = keyof typeof CALLS;
export type CallInput<N extends CallName> = z.input<(typeof CALLS)[N]['input']>;
export type CallOutput<N extends CallName> = z.output<(typeof CALLS)[N]['output']>;
type EventName = keyof typeof EVENTS;
export type EventData<N extends EventName> = z.output<(typeof EVENTS)[N]>;
export type AnyEvent = { [N in EventName]: { event: N; data: EventData<N> } }[EventName];

/** What stands behind the table: one function a call. */
export type Handlers = { [N in CallName]: (input: z.output<(typeof CALLS)[N]['input']>) => Promise<CallOutput<N>> };

/** Messages as they cross a transport, as JSON text or structured clones. */
export const RpcRequest = z.strictObject({ id: z.int().min(1), call: z.string().max(64), input: z.unknown() });
export type RpcRequest = z.infer<typeof RpcRequest>;
export const RpcMessage = z.union([
  z.strictObject({ id: z.int().min(1), ok: z.literal(true), output: z.unknown() }),
  z.strictObject({
    id: z.int().min(1),
    ok: z.literal(false),
    error: z.strictObject({ code: z.string(), params: z.record(z.string(), z.union([z.string(), z.number()])) }),
  }),
  z.strictObject({ event: z.string().max(64), data: z.unknown() }),
]);
export type RpcMessage = z.infer<typeof RpcMessage>;
