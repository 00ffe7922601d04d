import { createHash } from 'node:crypto';
import { type HDNodeWallet, Wallet } from 'ethers';
import { practiceCredit } from '../../core/contract/money.ts';
import type { BlobSource, LeaseReply, Network, NetworkEvent, NetworkInfo, SubmitReply } from '../../core/contract/network.ts';
import { FIRST_PREVIOUS_HASH, type SignedBatch, type WorkReceipt } from '../../core/contract/receipt.ts';
import { batchDigest, batchOf, hashReceipt } from '../../core/contract/receipt-hash.ts';
import { encodeSafetensors } from '../../core/contract/safetensors.ts';
import type { Lease, RunShard, Submission } from '../../core/contract/shard.ts';

const MODEL = 'a'.repeat(64);

/** A network of this process that lends as many one-run shards as it is told to, and that can be made to misbehave. */
export class FakeNetwork implements Network {
  readonly id: string;
  readonly coordinator: HDNodeWallet = Wallet.createRandom();
  readonly leased: Lease[] = [];
  readonly released: Array<{ shardId: string; reason: string; code: string | null }> = [];
  readonly submitted: Submission[] = [];
  readonly receipts: WorkReceipt[] = [];
  readonly countersigned: number[] = [];
  /** Every call in order, by name and shard. */
  readonly calls: string[] = [];
  shardsLeft: number;
  held = true;
  /** Whose work it is: practice, or strangers'. */
  origin: RunShard['origin'] = 'practice';
  /** Answers a submission in another way than by accepting it. */
  refuse: SubmitReply | null = null;
  /** Changes a receipt before it goes out. */
  tamper: (receipt: WorkReceipt) => WorkReceipt = (receipt) => receipt;
  proposals: SignedBatch[] = [];
  #worker = '';
  #payee = '';
  #listeners = new Set<(event: NetworkEvent) => void>();
  readonly #inputs = encodeSafetensors(new Map([['x', { type: 'float32', shape: [1], data: new Uint8Array(4) }]]));

  constructor(shards: number, id = 'test') {
    this.shardsLeft = shards;
    this.id = id;
  }

  async connect(worker: { address: string; payee: string }): Promise<NetworkInfo> {
    this.#worker = worker.address;
    this.#payee = worker.payee;
    return { id: this.id, coordinator: this.coordinator.address, asset: practiceCredit(this.id), isolation: ['os'], sameTrustDomain: true };
  }

  async lease(): Promise<LeaseReply> {
    if (this.shardsLeft === 0) return { type: 'no-work', reason: { key: 'no-work.queue-empty', params: {} }, retryMs: null };
    this.shardsLeft -= 1;
    const number = this.leased.length + 1;
    const shard: RunShard = {
      id: `s${number}`,
      jobId: `j${number}`,
      network: this.id,
      kind: 'onnx.run',
      outputs: [],
      model: { digest: MODEL, bytes: 1 },
      inputs: { digest: digestOf(this.#inputs), bytes: this.#inputs.byteLength },
      limits: { wallMs: 1000, memoryBytes: 1 << 30, outputBytes: 1 << 20 },
      session: { intraOpThreads: 1, graphOptimization: 'all' },
      price: { asset: practiceCredit(this.id), unit: 'run', perUnit: '3' },
      origin: this.origin,
    };
    const lease = { shard, attempt: 1, deadline: 0, leaseMs: 750 };
    this.leased.push(lease);
    this.calls.push(`lease ${shard.id}`);
    return { type: 'lease', lease };
  }

  async progress(): Promise<boolean> {
    return this.held;
  }

  async fetchBlob(): Promise<BlobSource> {
    const bytes = this.#inputs;
    this.calls.push('fetch');
    return {
      type: 'stream',
      stream: (async function* () {
        yield bytes;
      })(),
    };
  }

  /** The receipt for an attempt; the same one each time. */
  async submit(submission: Submission): Promise<SubmitReply> {
    this.submitted.push(submission);
    this.calls.push(`submit ${submission.shardId}`);
    if (this.refuse !== null) return this.refuse;
    const known = this.receipts.find((receipt) => receipt.shardId === submission.shardId);
    return { type: 'accepted', receipt: this.tamper(known ?? this.issue(submission)), audited: false };
  }

  /** Puts the next receipt into the chain, as an acceptance does. */
  issue(submission: Pick<Submission, 'shardId' | 'attempt' | 'commitment' | 'units'>): WorkReceipt {
    const last = this.receipts.at(-1);
    const receipt: WorkReceipt = {
      network: this.id,
      jobId: submission.shardId.replace('s', 'j'),
      shardId: submission.shardId,
      attempt: submission.attempt,
      worker: this.#worker,
      payee: this.#payee,
      furtherPayees: [],
      modelHash: MODEL,
      inputHash: digestOf(this.#inputs),
      outputCommitment: submission.commitment,
      units: submission.units,
      unitPrice: '3',
      amount: String(submission.units * 3),
      asset: practiceCredit(this.id),
      time: 1_700_000_000,
      sequence: (last?.sequence ?? 0) + 1,
      previousHash: last === undefined ? FIRST_PREVIOUS_HASH : hashReceipt(last),
    };
    this.receipts.push(receipt);
    return receipt;
  }

  /** Proposes a batch over all receipts since `first`, signed by `signer`. */
  propose(first: number, signer = this.coordinator): SignedBatch {
    const batch = batchOf(this.receipts.slice(first - 1));
    const proposal = { batch, coordinatorSignature: signer.signingKey.sign(batchDigest(batch)).serialized, workerSignature: null };
    this.proposals.push(proposal);
    this.emit({ type: 'batch' });
    return proposal;
  }

  async release(shardId: string, _attempt: number, reason: string, code: string | null): Promise<void> {
    this.released.push({ shardId, reason, code });
    this.calls.push(`release ${shardId}`);
  }

  async receiptsSince(sequence: number): Promise<WorkReceipt[]> {
    return this.receipts.filter((receipt) => receipt.sequence > sequence).map((receipt) => this.tamper(receipt));
  }

  async pendingBatches(): Promise<SignedBatch[]> {
    return this.proposals;
  }

  async countersign({ last }: { last: number }): Promise<void> {
    this.countersigned.push(last);
    this.proposals = this.proposals.filter((proposal) => proposal.batch.last !== last);
    this.emit({ type: 'work' });
  }

  subscribe(listener: (event: NetworkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit(event: NetworkEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
  }
}

export function digestOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
