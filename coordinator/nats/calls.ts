import type { Sha256 } from '../../core/contract/digest.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { understands } from '../../core/contract/joining.ts';
import type { LeaseReply } from '../../core/contract/network.ts';
import { type WORKER_CALLS, WORKER_FRAME_LIMITS, type WorkerCallName, type WorkerCallOutput } from '../../core/contract/worker-calls.ts';
import type { Worker, WorkerService } from '../service.ts';

export interface CallContext {
  service: WorkerService;
  version: string;
  /** What opens the blobs for a worker. */
  blobAccess(worker: Worker): WorkerCallOutput<'blobAccess'>;
  /** Outputs that this worker put under their digest before. @throws BLOB_MISSING */
  takeUpload(worker: Worker, digest: Sha256): Promise<Uint8Array>;
  /** Those were handed in. */
  uploadDone(worker: Worker, digest: Sha256): void;
}

const RECEIPTS = 128;
const BATCHES = 64;
const VOUCHERS = 64;
/** What a reply's frame can hold, less what wraps the leases in it. */
const MAX_LEASES_BYTES = WORKER_FRAME_LIMITS.headerBytes - 4096;

type Inputs = { [N in WorkerCallName]: (typeof WORKER_CALLS)[N]['input']['_output'] };
type Calls = {
  [N in WorkerCallName]: (context: CallContext, worker: Worker, input: Inputs[N], body: Uint8Array) => Promise<WorkerCallOutput<N>>;
};

const CALLS: Calls = {
  async connect({ service, version }, worker, input) {
    if (!understands(input.version, version)) throw new HearthlendError('NETWORK_VERSION', { running: version, version: input.version });
    return service.connect(worker, input.holds);
  },
  async lease({ service }, worker, input) {
    return fitting(service, worker, await service.lease(worker, input));
  },
  async progress({ service }, worker, { shardId, attempt, fraction, made }) {
    return { held: await service.progress(worker, { shardId, attempt }, fraction, made) };
  },
  exchange: ({ service }, worker, { shardId, attempt, step, handed, part }, body) =>
    service.exchange(worker, { shardId, attempt }, step, handed ? body : null, { part }),
  async submit({ service, takeUpload, uploadDone }, worker, { submission, inline }, body) {
    if (inline) return service.submit(worker, submission, body);
    const reply = await service.submit(worker, submission, await takeUpload(worker, submission.commitment));
    uploadDone(worker, submission.commitment);
    return reply;
  },
  async release({ service }, worker, { shardId, attempt, reason, code, params }) {
    const failure = code !== null ? { code, params } : reason === 'failed' ? { code: 'RUN_FAILED', params: { detail: '?' } } : null;
    await service.release(worker, { shardId, attempt }, reason, failure);
    return {};
  },
  receiptsSince: ({ service }, worker, { sequence }) => service.receiptsSince(worker, sequence, RECEIPTS),
  pendingBatches: ({ service }, worker, { leaving }) => service.pendingBatches(worker, { leaving, limit: BATCHES }),
  vouchers: ({ service }, worker, { last, worker: of, payee }) => service.vouchers(worker, last, VOUCHERS, of, payee),
  audits: ({ service }, worker) => service.audits(worker),
  async countersign({ service }, worker, { last, signature }) {
    await service.countersign(worker, last, signature);
    return {};
  },
  blobAccess: async ({ blobAccess }, worker) => blobAccess(worker),
};

/** Has the service do what a worker asks, with input that its schema let through. */
export function callService(
  context: CallContext,
  worker: Worker,
  call: WorkerCallName,
  input: unknown,
  body: Uint8Array,
): Promise<unknown> {
  if (body.byteLength > 0 && call !== 'submit' && call !== 'exchange')
    throw new HearthlendError('NETWORK_REQUEST_INVALID', { detail: `${call} has no body` });
  return (CALLS[call] as (context: CallContext, worker: Worker, input: unknown, body: Uint8Array) => Promise<unknown>)(
    context,
    worker,
    input,
    body,
  );
}

/** As many of the leases as one reply holds; what doesn't fit goes back at once. */
async function fitting(service: WorkerService, worker: Worker, reply: LeaseReply): Promise<LeaseReply> {
  if (reply.type !== 'lease') return reply;
  const leases = [reply.lease, ...(reply.further ?? [])];
  const kept: typeof leases = [];
  let bytes = 0;
  for (const lease of leases) {
    bytes += Buffer.byteLength(JSON.stringify(lease));
    if (bytes <= MAX_LEASES_BYTES) kept.push(lease);
  }
  const over = leases.filter((lease) => !kept.includes(lease));
  for (const { shard, attempt } of over) {
    const tooLarge =
      kept.length === 0 ? { code: 'NETWORK_REQUEST_INVALID', params: { detail: 'the shard is larger than a message' } } : null;
    await service.release(worker, { shardId: shard.id, attempt }, tooLarge === null ? 'stopped' : 'failed', tooLarge);
  }
  const [lease, ...further] = kept;
  if (lease === undefined) throw new HearthlendError('NETWORK_BUSY');
  return { type: 'lease', lease, ...(further.length > 0 ? { further } : {}) };
}
