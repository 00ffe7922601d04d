import type { App, StartOptions, Summary } from '../../core/app.ts';
import type { ApiKey } from '../../core/contract/api-keys.ts';
import { withBackends } from '../../core/contract/backends.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import type { AddedModel, CatalogueRow, ModelPlan } from '../../core/contract/models.ts';
import type { JobStatus } from '../../core/contract/network.ts';
import type { NetworkRow } from '../../core/contract/networks.ts';
import { Signals } from '../../core/contract/policy.ts';
import type { AnyEvent, CallInput } from '../../core/contract/rpc.ts';
import { Settings } from '../../core/contract/settings.ts';
import type { Snapshot } from '../../core/contract/snapshot.ts';
import { changedRules } from '../../core/policy/presets.ts';
import { earningsCalls } from './earnings.ts';
import { practising, task } from './snapshots.ts';
import { noIdentity, walletCalls } from './wallet.ts';

/** An agent without networks, workers or files, typed by the contract, whose every move is the test's. */
export class FakeApp implements App {
  snapshot: Snapshot = practising({ recent: [], current: null });
  settings: Settings = Settings.parse({});
  jobs: JobStatus[] = [];
  networks: NetworkRow[] = [];
  keys: ApiKey[] = [];
  requests: { address: string | null; port: number; problem: string | null } = {
    address: 'http://127.0.0.1:8477/v1',
    port: 8477,
    problem: null,
  };
  started: StartOptions | undefined;
  readonly stops: Array<{ now: boolean }> = [];
  readonly pauses: Array<number | null> = [];
  model: AddedModel = {
    digest: 'ab'.repeat(32),
    name: 'hf:someone/tiny#model.onnx',
    origin: { type: 'hub', endpoint: 'https://huggingface.co', repository: 'someone/tiny', requested: null, revision: 'cd'.repeat(20) },
    licence: 'mit',
    addedAt: 1,
    entry: 'model.onnx',
    files: [{ path: 'model.onnx', bytes: 640, digest: 'ef'.repeat(32) }],
    bytes: 640,
  };
  readonly modelsAdded: CallInput<'model.add'>[] = [];
  catalogue: CatalogueRow[] = [];
  modelPlan: ModelPlan = {
    name: this.model.name,
    origin: this.model.origin,
    licence: 'mit',
    entry: 'model.onnx',
    files: [{ path: 'model.onnx', bytes: 640, digest: `sha256:${'ef'.repeat(32)}` }],
    totalBytes: 640,
  };
  /** What ledger.export writes. */
  exported: (input: CallInput<'ledger.export'>) => Promise<number> = async () => 0;
  /** What `start` does once it runs. */
  onStart: (app: FakeApp) => void = () => undefined;
  /** Whether a polite stop ends at once, or waits for a shard that never ends. */
  busy = false;
  readonly #listeners = new Set<(event: AnyEvent) => void>();
  readonly #finished = Promise.withResolvers<Summary>();
  #accepted = 0;
  readonly handlers: App['handlers'];

  constructor() {
    this.handlers = {
      'app.watch': async () => structuredClone(this.snapshot),
      'work.pause': async ({ forMs }) => {
        this.pauses.push(forMs);
        return {};
      },
      'work.resume': async () => ({}),
      'key.create': async ({ name }) => {
        const key = { id: `key-${this.keys.length + 1}`, name, createdAt: 1, budget: null, spent: '0' };
        this.keys.push(key);
        return { key, secret: `hl-secret-${name}`, ...this.requests };
      },
      'key.list': async () => ({ keys: this.keys, ...this.requests }),
      'key.remove': async ({ key }) => {
        const at = this.keys.findIndex(({ id, name }) => id === key || name === key);
        if (at < 0) throw new HearthlendError('API_KEY_UNKNOWN', { key });
        return this.keys.splice(at, 1)[0] as ApiKey;
      },
      'work.start': async ({ forMs }) => ({ overrides: [], until: forMs }),
      'policy.status': async () => ({
        signals: Signals.parse({ now: 0, utcOffsetMinutes: 0, steadyMs: 0 }),
        decisions: [],
        powerLimits: [],
      }),
      'policy.test': async () => ({ decisions: [] }),
      'policy.programs': async () => [],
      'policy.history': async () => [],
      'practice.extend': async () => ({}),
      'prompt.ask': async () => ({ jobId: 'job-1' }),
      'prompt.run': async () => ({ jobId: 'job-1' }),
      'job.list': async () => this.jobs,
      'job.show': async ({ jobId }) => this.job(jobId),
      'job.cancel': async ({ jobId }) => this.changeJob(jobId, { state: 'cancelled', finishedAt: 2 }),
      'job.submit': async () => {
        const job: JobStatus = {
          id: `job-${this.jobs.length + 1}`,
          network: 'local',
          kind: 'onnx.run',
          state: 'queued',
          createdAt: 1,
          finishedAt: null,
          shards: 1,
          accepted: 0,
          error: null,
        };
        this.jobs.push(job);
        return job;
      },
      'job.save': async () => ({ tensors: 2, bytes: 640 }),
      'model.plan': async () => this.modelPlan,
      'model.add': async (input) => {
        this.modelsAdded.push(input);
        const { bytes } = this.model;
        this.emit({ event: 'model.progress', data: { source: input.source, file: 'model.onnx', bytes, totalBytes: bytes } });
        return this.model;
      },
      'model.cancel': async () => ({}),
      'model.split': () => Promise.reject(new HearthlendError('MODEL_NOT_FOUND', { path: '?' })),
      'model.list': async () => [this.model],
      'model.show': async () => this.model,
      'model.remove': async () => this.model,
      'model.catalogue': async () => this.catalogue,
      'earnings.summary': async () => this.snapshot.earnings,
      ...earningsCalls(),
      'ledger.verify': async () => ({ ok: true, entries: 9, receipts: 3, batches: 1, headHash: null, problems: [] }),
      'ledger.export': async (input) => ({ rows: await this.exported(input) }),
      'doctor.report': async () => {
        const { hardware, isolation } = this.snapshot;
        if (hardware === null) throw new HearthlendError('INTERNAL', { detail: 'no hardware' });
        const { workers, reason } = this.snapshot.backends;
        return { hardware: withBackends(hardware, this.snapshot.backends), computing: { workers, reason }, isolation };
      },
      'telemetry.history': async () => ({ samples: [], energies: [] }),
      'benchmark.run': () => Promise.reject(new HearthlendError('BENCHMARK_BUSY', { percent: 90 })),
      'benchmark.cancel': async () => ({}),
      'benchmark.history': async () => ({
        results: [],
        running: null,
        earnings: { networks: [], electricity: { perHour: null, currency: 'EUR', watts: null, measured: false } },
      }),
      'network.list': async () => this.networks,
      'network.audits': ({ network }) => Promise.reject(new HearthlendError('NETWORK_UNKNOWN', { network })),
      'network.nearby': async () => [],
      'network.preview': () => Promise.reject(new HearthlendError('INVITE_INVALID')),
      'network.join': () => Promise.reject(new HearthlendError('INVITE_INVALID')),
      'network.set': async ({ network }) => this.network(network),
      'network.leave': async ({ network }) => {
        this.networks = this.networks.filter((each) => each !== this.network(network));
        return {};
      },
      'payments.status': async () => ({ networks: [], gasKey: null, gasKeyTrouble: null, chains: [], transactions: [] }),
      'payments.plan': async ({ network }) => Promise.reject(new HearthlendError('NETWORK_UNPAID', { network })),
      'payments.claim': async ({ network }) => Promise.reject(new HearthlendError('NETWORK_UNPAID', { network })),
      'payments.balances': async ({ chainId }) => Promise.reject(new HearthlendError('CHAIN_UNKNOWN', { chainId })),
      'payments.send-plan': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'payments.send': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'payments.contacts': async () => [],
      'payments.contact-put': async (contact) => contact,
      'payments.contact-remove': async ({ name }) => Promise.reject(new HearthlendError('CONTACT_UNKNOWN', { name })),
      'approved.send': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'approved.contact': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'approved.sign': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'identity.show': async () => noIdentity(),
      'identity.prepare': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'identity.typed-data': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'identity.describe': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'identity.sign': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'identity.keep': async () => Promise.reject(new HearthlendError('WALLET_MISSING')),
      'identity.rekey-plan': async () => Promise.reject(new HearthlendError('IDENTITY_INVALID', { path: '', detail: '' })),
      'identity.rekey': async () => Promise.reject(new HearthlendError('REKEY_BUSY', { network: 'studio' })),
      ...walletCalls(),
      'settings.get': async () => this.settings,
      'settings.set': async ({ rules = {}, ...change }) => {
        this.settings = Settings.parse({ ...this.settings, ...change, rules: changedRules(this.settings.rules, rules) });
        return this.settings;
      },
    };
  }

  events(listener: (event: AnyEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get listeners(): number {
    return this.#listeners.size;
  }

  emit(event: AnyEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  async start(options: StartOptions): Promise<void> {
    for (const id of options.networks ?? []) if (id !== 'local') this.network(id);
    this.started = options;
    setImmediate(() => this.onStart(this));
  }

  readonly sleeps: Array<'suspend' | 'wake'> = [];

  async suspend(): Promise<void> {
    this.sleeps.push('suspend');
  }

  wake(): void {
    this.sleeps.push('wake');
  }

  get finished(): Promise<Summary> {
    return this.#finished.promise;
  }

  async stop(options: { now: boolean }): Promise<Summary> {
    this.stops.push(options);
    if (!this.busy || options.now) this.finish();
    return this.finished;
  }

  /** One more accepted shard, told as the agent tells it. */
  accept(count = 1, at = Date.now()): void {
    for (let i = 0; i < count; i += 1) {
      this.#accepted += 1;
      this.snapshot.recent = [task({ shardId: `practice-${this.#accepted}`, at }), ...this.snapshot.recent].slice(0, 20);
      this.emit({ event: 'changed', data: { recent: structuredClone(this.snapshot.recent) } });
    }
  }

  finish(): void {
    this.#finished.resolve({ accepted: this.#accepted, rejected: 0, failed: 0, released: 0, ms: 1234 });
  }

  fail(error: Error): void {
    this.#finished.reject(error);
  }

  network(id: string): NetworkRow {
    const row = this.networks.find((each) => each.id === id);
    if (row === undefined) throw new HearthlendError('NETWORK_UNKNOWN', { network: id });
    return row;
  }

  job(id: string): JobStatus {
    const job = this.jobs.find((each) => each.id === id);
    if (job === undefined) throw new HearthlendError('JOB_UNKNOWN', { job: id });
    return job;
  }

  changeJob(id: string, change: Partial<JobStatus>): JobStatus {
    const job = { ...this.job(id), ...change };
    this.jobs = this.jobs.map((each) => (each.id === id ? job : each));
    this.emit({ event: 'job.changed', data: job });
    return job;
  }
}
