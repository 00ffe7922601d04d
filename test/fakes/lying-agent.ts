import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { SigningKey, Wallet } from 'ethers';
import type { AuditReport } from '../../core/contract/audits.ts';
import { asHearthlendError, HearthlendError } from '../../core/contract/errors.ts';
import type { IsolationLevel } from '../../core/contract/isolation.ts';
import type { LocalModel, ReferenceWorker } from '../../core/contract/jobs.ts';
import { ModelManifest } from '../../core/contract/model.ts';
import type { LeaseRequest, Network, SubmitReply } from '../../core/contract/network.ts';
import { NetworkChoices } from '../../core/contract/networks.ts';
import { batchDigest } from '../../core/contract/receipt-hash.ts';
import { decodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Lease, Shard, Submission } from '../../core/contract/shard.ts';
import { modelDigest } from '../../core/models/digest.ts';
import { joinNetwork, readLink, readTerms } from '../../core/network/joining.ts';
import { createNatsNetwork, type NatsNetwork } from '../../core/network/nats-network.ts';
import type { JoinedNetwork } from '../../core/network/records.ts';
import { asInt8, withChangedWeights, withoutLayer } from '../fixtures/changed-weights.ts';
import { agreedRandom, inputReturned, LIARS, type Liar, randomLike } from './lies.ts';
import { inProcessReference } from './reference.ts';

/** Beside the ways of one that lies alone: what accomplices of the same mind say too, and the truth. */
type Lie = Liar | 'what accomplices say' | 'the truth';
const LIES: readonly Lie[] = [...LIARS, 'what accomplices say', 'the truth'];

/** What came of one lease, or why there was none. */
export type Told =
  | { event: 'joined'; network: string; worker: string }
  | { event: 'answered'; shard: string; attempt: number; lied: boolean; reply: SubmitReply['type'] }
  | { event: 'no-work'; reason: string }
  | { event: 'suspended'; until: number | null }
  | { event: 'error'; code: string; detail: string };

interface LyingOptions {
  /** An invitation that is its own. */
  link: string;
  lie: Lie;
  /** Of whose wallet it says it is; its own identity's where left out. */
  payee?: string;
  /** What it says computes there. */
  backends?: LeaseRequest['backends'];
  isolation?: IsolationLevel;
  /** How often it lies where it does, in [0, 1]. */
  share?: number;
  tell?: (told: Told) => void;
}

const MEMORY_BYTES = 2 ** 32;
/** After so many valid audits in a row it counts on being trusted. */
const TRUSTED_AFTER = 12;
const LOOK_AGAIN_MS = 1000;
const VERSION = (JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8')) as { version: string }).version;

/**
 * A worker that cheats, over the real network: it joins by an invitation, takes leases over NATS, fetches models and inputs over HTTPS, computes them
 * rightly in this process (so that its lies have the right form), and hands in something else. Its books are its own affair.
 */
export class LyingAgent {
  readonly network: NatsNetwork;
  readonly worker: string;
  readonly answers: Extract<Told, { event: 'answered' }>[] = [];
  readonly #options: LyingOptions;
  readonly #folder: string;
  readonly #honest: ReferenceWorker;
  readonly #models = new Map<string, LocalModel>();
  readonly #older = new Map<string, Uint8Array>();
  #stopped = false;
  #wake = Promise.withResolvers<void>();
  #running: Promise<void> = Promise.resolve();

  private constructor(options: LyingOptions, network: NatsNetwork, worker: string, folder: string) {
    this.#options = options;
    this.network = network;
    this.worker = worker;
    this.#folder = folder;
    mkdirSync(join(folder, 'computing'));
    this.#honest = inProcessReference(join(folder, 'computing'));
  }

  /** Joins, and works until it is stopped. */
  static async start(options: LyingOptions): Promise<LyingAgent> {
    const key = Wallet.createRandom();
    const signing = new SigningKey(key.privateKey);
    const link = readLink(options.link);
    const { terms } = await readTerms(link);
    const payee = options.payee ?? key.address;
    const joined = await joinNetwork(link, terms, {
      ...{ worker: key.address, payee, version: VERSION, clock: Date.now },
      signDigest: (digest) => signing.sign(digest).serialized,
    });
    let record: JoinedNetwork = { ...joined, choices: NetworkChoices.parse({}) };
    const network = createNatsNetwork({
      mayBePaid: () => true,
      record: () => record,
      save(next) {
        record = next;
      },
      ...{ version: VERSION, clock: Date.now, onLink: () => undefined, onInfo: () => undefined },
    });
    const agent = new LyingAgent(options, network, key.address, mkdtempSync(join(tmpdir(), 'hearthlend-liar-')));
    const sign = async () => {
      for (const { batch } of await network.pendingBatches()) {
        await network.countersign({ network: terms.id, last: batch.last }, signing.sign(batchDigest(batch)).serialized);
      }
    };
    network.subscribe((event) => {
      if (event.type === 'batch') void sign().catch(() => undefined);
      else agent.#awake();
    });
    await network.connect({ address: key.address, payee });
    agent.#tell({ event: 'joined', network: terms.id, worker: key.address });
    agent.#running = agent.#work();
    return agent;
  }

  audits(): Promise<AuditReport> {
    return this.network.audits();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#awake();
    await this.#running;
    await this.network.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #tell(told: Told): void {
    if (told.event === 'answered') this.answers.push(told);
    this.#options.tell?.(told);
  }

  #awake(): void {
    const woken = this.#wake;
    this.#wake = Promise.withResolvers();
    woken.resolve();
  }

  async #work(): Promise<void> {
    const { isolation = 'os', backends } = this.#options;
    while (!this.#stopped) {
      const woken = this.#wake.promise;
      try {
        const reply = await this.network.lease({
          ...{ isolation, warmModels: [...this.#models.keys()], memoryBytes: MEMORY_BYTES, practice: false },
          ...(backends === undefined ? {} : { backends }),
        });
        if (reply.type === 'lease') {
          await this.#answer(reply.lease);
          continue;
        }
        const { key } = reply.reason;
        this.#tell(
          key === 'no-work.suspended'
            ? { event: 'suspended', until: (await this.audits()).suspendedUntil }
            : { event: 'no-work', reason: key },
        );
        await Promise.race([woken, wait(reply.retryMs ?? LOOK_AGAIN_MS)]);
      } catch (thrown) {
        const { code, message } = asHearthlendError(thrown);
        if (!this.#stopped) this.#tell({ event: 'error', code, detail: message });
        await Promise.race([woken, wait(LOOK_AGAIN_MS)]);
      }
    }
  }

  async #answer({ shard, attempt }: Lease): Promise<void> {
    const model = await this.#model(shard);
    const inputs = await bytesOf(this.network, shard.inputs.digest);
    const startedAt = performance.now();
    const right = await this.#compute(model, shard, inputs);
    const lie = await this.#lie(model, shard, inputs, right);
    const outputs = lie ?? right;
    const made = shard.kind === 'onnx.generate' ? (decodeSafetensors(outputs).get('tokens')?.shape[0] ?? 0) : 1;
    const submission: Submission = {
      ...{ shardId: shard.id, attempt, outputBytes: outputs.byteLength, units: shard.price.unit === 'run' ? 1 : made },
      commitment: digestOf(lie !== null && this.#options.lie === 'a copied commitment' ? right : outputs),
      ...{ runMs: performance.now() - startedAt, backend: this.#options.backends?.[0]?.name ?? 'cpu' },
    };
    const reply = await this.network.submit(submission, outputs);
    this.#tell({ event: 'answered', shard: shard.id, attempt, lied: lie !== null, reply: reply.type });
  }

  /** Null where it says the truth this time. */
  async #lie(model: LocalModel, shard: Shard, inputs: Uint8Array, right: Uint8Array): Promise<Uint8Array | null> {
    const { lie, share = 1 } = this.#options;
    if (Math.random() >= share) return null;
    const other = (bytes: Uint8Array | null) => (bytes === null || Buffer.compare(bytes, right) === 0 ? null : bytes);
    switch (lie) {
      case 'the truth':
        return null;
      case 'random output':
      case 'a copied commitment':
        return other(randomLike(shard, right, Math.random));
      case 'what accomplices say':
        return other(randomLike(shard, right, agreedRandom(shard)));
      case 'input returned unchanged':
        return other(inputReturned(shard, inputs, right));
      case 'skipped layers':
      case 'int8 instead of fp32':
        return other(await this.#compute(this.#cheaper(model, lie), shard, inputs));
      case 'a replayed old answer': {
        const form = `${shard.kind} ${shard.model.digest} ${shard.kind === 'onnx.run' ? right.byteLength : ''}`;
        const old = this.#older.get(form) ?? null;
        this.#older.set(form, right);
        return other(old);
      }
      case 'honest until trusted':
        return (await this.audits()).validInARow >= TRUSTED_AFTER ? other(randomLike(shard, right, Math.random)) : null;
    }
  }

  #compute(local: LocalModel, shard: Shard, inputs: Uint8Array): Promise<Uint8Array> {
    return this.#honest.compute({ model: { digest: modelDigest(local.manifest), local }, shard, inputs });
  }

  /** The same model with weights that cost less. */
  #cheaper(model: LocalModel, how: 'skipped layers' | 'int8 instead of fp32'): LocalModel {
    const { entry } = model.manifest;
    const honest = readFileSync(model.files.get(entry) as string);
    const cheap =
      how === 'skipped layers' ? withoutLayer(honest) : withChangedWeights(honest, (_name, shape, values) => asInt8(shape, values));
    const path = join(this.#folder, 'cheap', modelDigest(model.manifest), how.split(' ')[0] as string, entry);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, cheap);
    const files = model.manifest.files.map((file) => (file.path === entry ? { ...file, digest: digestOf(cheap) } : file));
    return { manifest: { ...model.manifest, files }, files: new Map(model.files).set(entry, path) };
  }

  async #model({ model: { digest } }: Shard): Promise<LocalModel> {
    const known = this.#models.get(digest);
    if (known !== undefined) return known;
    const manifest = ModelManifest.parse(JSON.parse(new TextDecoder().decode(await bytesOf(this.network, digest))));
    const files = new Map<string, string>();
    for (const file of manifest.files) {
      const path = join(this.#folder, 'models', digest, file.path);
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, await bytesOf(this.network, file.digest));
      files.set(file.path, path);
    }
    const model = { manifest, files };
    this.#models.set(digest, model);
    return model;
  }
}

async function bytesOf(network: Network, digest: string): Promise<Uint8Array> {
  const source = await network.fetchBlob(digest, 0);
  const chunks: Uint8Array[] = [];
  if (source.type === 'stream') for await (const chunk of source.stream) chunks.push(chunk);
  const bytes = source.type === 'file' ? readFileSync(source.path) : Buffer.concat(chunks);
  if (digestOf(bytes) !== digest) throw new HearthlendError('DIGEST_MISMATCH', { path: digest, expected: digest, found: digestOf(bytes) });
  return bytes;
}

const digestOf = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

function wait(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}

/** `node lying-agent.ts --link LINK [--lie "random output"] [--share 1]`: prints what happens, a JSON object a line, until it is interrupted. */
async function main(): Promise<void> {
  const options = {
    link: { type: 'string' },
    lie: { type: 'string', default: 'random output' },
    share: { type: 'string', default: '1' },
  } as const;
  const { link = '', lie, share } = parseArgs({ options }).values;
  if (!LIES.includes(lie as Lie)) throw new Error(`there is no lie "${lie}"; there are: ${LIES.join(', ')}`);
  const tell = (told: Told) => void process.stdout.write(`${JSON.stringify(told)}\n`);
  const isolation: IsolationLevel = 'process';
  const agent = await LyingAgent.start({ link, lie: lie as Lie, share: Number(share), isolation, tell });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void agent.stop().then(() => process.exit(0)));
}

if (import.meta.main) await main();
