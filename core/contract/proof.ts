// Whoever verifies a proof has nothing but this file's words and the bundle: no ledger, no network.
import { SimpleMerkleTree } from '@openzeppelin/merkle-tree';
import { z } from 'zod';
import { Bytes32 } from './digest.ts';
import { isPracticeCredit, priceOf } from './money.ts';
import { Address, SignedBatch, WorkReceipt } from './receipt.ts';
import { batchSignedBy, hashReceipt } from './receipt-hash.ts';
import { assetOf, SignedVoucher } from './voucher.ts';
import { channelOf, voucherSigner } from './voucher-hash.ts';
import { splitAmount } from './vouching.ts';

const Path = z.array(Bytes32).max(64);

/**
 * What one receipt's payment rests on, for anyone to check: the receipt, its way into the batch that both sides signed, and its way into the voucher
 * that promises it. `path`: the Merkle proof, hash after hash.
 */
export const ProofBundle = z.strictObject({
  kind: z.literal('hearthlend-proof'),
  version: z.literal(1),
  receipt: WorkReceipt,
  batch: z.strictObject({ signed: SignedBatch, coordinator: Address, path: Path }),
  /** Null while the receipt is accepted and not promised yet. */
  voucher: z.strictObject({ signed: SignedVoucher, signer: Address, path: Path }).nullable(),
});
export type ProofBundle = z.infer<typeof ProofBundle>;

/** The Merkle proof of one of these hashes, in the tree that batches and vouchers have. */
export function pathOf(hashes: readonly Bytes32[], hash: Bytes32): Bytes32[] {
  const tree = SimpleMerkleTree.of([...hashes], { sortLeaves: false });
  return tree.getProof(hashes.indexOf(hash)) as Bytes32[];
}

/** What a proof shows, point by point; `null` for a point that it doesn't get to. */
export interface ProofReport {
  ok: boolean;
  points: Array<{
    point:
      | 'amount'
      | 'not-practice'
      | 'in-batch'
      | 'coordinator-signed'
      | 'worker-signed'
      | 'two-parties'
      | 'in-voucher'
      | 'voucher-pays'
      | 'voucher-signed';
    holds: boolean | null;
  }>;
  /** Where the voucher is claimed, and by which channel; null without a voucher. */
  channel: { id: Bytes32; chainId: number; contract: Address } | null;
  /** Whether the payer itself signed; otherwise only the contract can say that the signer may (`signerUntil`). */
  signedByPayer: boolean | null;
}

/** Checks a bundle by itself. Pure; never throws for one that has the bundle's form. */
export function verifyProof({ receipt, batch, voucher }: ProofBundle): ProofReport {
  const hash = hashReceipt(receipt);
  const { signed, coordinator } = batch;
  const { sequence, network, worker } = receipt;
  const own = signed.batch.network === network && same(signed.batch.worker, worker);
  const inside = own && sequence >= signed.batch.first && sequence <= signed.batch.last;
  const points: ProofReport['points'] = [
    { point: 'amount', holds: priceOf(receipt.units, receipt.unitPrice).toString() === receipt.amount },
    { point: 'not-practice', holds: !isPracticeCredit(receipt.asset) },
    { point: 'in-batch', holds: inside && leadsTo(signed.batch.merkleRoot, hash, batch.path) },
    { point: 'coordinator-signed', holds: batchSignedBy(signed.batch, signed.coordinatorSignature, coordinator) },
    { point: 'worker-signed', holds: signed.workerSignature !== null && batchSignedBy(signed.batch, signed.workerSignature, worker) },
    { point: 'two-parties', holds: !same(coordinator, worker) },
  ];
  if (voucher === null) {
    points.push({ point: 'in-voucher', holds: null }, { point: 'voucher-pays', holds: null }, { point: 'voucher-signed', holds: null });
    return { ok: points.every(({ holds }) => holds !== false), points, channel: null, signedByPayer: null };
  }
  const { domain, voucher: promise, signature } = voucher.signed;
  const part = splitAmount(receipt).find(({ payee }) => same(payee, promise.payee));
  const pays =
    part !== undefined &&
    same(promise.worker, worker) &&
    assetOf(domain, promise.asset) === receipt.asset &&
    BigInt(promise.cumulativeAmount) >= part.amount;
  const signer = voucherSigner(domain, promise, signature);
  points.push(
    { point: 'in-voucher', holds: leadsTo(promise.receiptsRoot, hash, voucher.path) },
    { point: 'voucher-pays', holds: pays },
    { point: 'voucher-signed', holds: signer !== null && same(signer, voucher.signer) },
  );
  return {
    ok: points.every(({ holds }) => holds === true),
    points,
    channel: { id: channelOf(domain, promise), chainId: domain.chainId, contract: domain.contract },
    signedByPayer: signer !== null && same(signer, promise.payer),
  };
}

function leadsTo(root: Bytes32, hash: Bytes32, path: readonly Bytes32[]): boolean {
  try {
    return SimpleMerkleTree.verify(root, hash, [...path]);
  } catch {
    return false;
  }
}

function same(a: Address, b: Address): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
