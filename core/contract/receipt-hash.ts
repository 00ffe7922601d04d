// Apart from receipt.ts, so that what only reads receipts (the screen) doesn't carry ethers.
import { SimpleMerkleTree } from '@openzeppelin/merkle-tree';
import { id, recoverAddress, type TypedDataDomain, TypedDataEncoder, type TypedDataField } from 'ethers';
import type { Bytes32 } from './digest.ts';
import { HearthlendError } from './errors.ts';
import { type Address, BATCH_RECEIPTS, type ReceiptBatch, type Signature, type WorkReceipt } from './receipt.ts';

/** EIP-712 struct types; SHA-256 digests travel as bytes32. */
const RECEIPT_TYPES: Record<string, TypedDataField[]> = {
  WorkReceipt: [
    { name: 'network', type: 'string' },
    { name: 'jobId', type: 'string' },
    { name: 'shardId', type: 'string' },
    { name: 'attempt', type: 'uint32' },
    { name: 'worker', type: 'address' },
    { name: 'payee', type: 'address' },
    { name: 'furtherPayees', type: 'FurtherPayee[]' },
    { name: 'modelHash', type: 'bytes32' },
    { name: 'inputHash', type: 'bytes32' },
    { name: 'outputCommitment', type: 'bytes32' },
    { name: 'units', type: 'uint64' },
    { name: 'unitPrice', type: 'uint256' },
    { name: 'amount', type: 'uint256' },
    { name: 'asset', type: 'string' },
    { name: 'time', type: 'uint64' },
    { name: 'sequence', type: 'uint64' },
    { name: 'previousHash', type: 'bytes32' },
  ],
  FurtherPayee: [
    { name: 'payee', type: 'address' },
    { name: 'shareBasisPoints', type: 'uint16' },
  ],
};

const BATCH_TYPES: Record<string, TypedDataField[]> = {
  ReceiptBatch: [
    { name: 'network', type: 'string' },
    { name: 'worker', type: 'address' },
    { name: 'first', type: 'uint64' },
    { name: 'last', type: 'uint64' },
    { name: 'merkleRoot', type: 'bytes32' },
    { name: 'headHash', type: 'bytes32' },
  ],
};

const receiptEncoder = TypedDataEncoder.from(RECEIPT_TYPES);

/** The EIP-712 domain of a network's receipts: its salt is the network id's keccak-256. Source: EIP-712, "Definition of domainSeparator". */
export function receiptDomain(network: string): TypedDataDomain {
  return { name: 'Hearthlend', version: '1', salt: id(network) };
}

/** Hashes of the latest receipts, by their content: each is needed when it is made, recorded, and put into a batch, and costs 0.2 ms. */
const latest = new Map<string, Bytes32>();
const LATEST = 2 * BATCH_RECEIPTS;

/** The hash by which a receipt is chained and put into a batch: its EIP-712 struct hash. */
export function hashReceipt(receipt: WorkReceipt): Bytes32 {
  const content = JSON.stringify(receipt);
  const known = latest.get(content);
  if (known !== undefined) return known;
  const hash = receiptEncoder.hashStruct('WorkReceipt', {
    ...receipt,
    modelHash: `0x${receipt.modelHash}`,
    inputHash: `0x${receipt.inputHash}`,
    outputCommitment: `0x${receipt.outputCommitment}`,
  });
  latest.set(content, hash);
  for (const oldest of latest.keys()) {
    if (latest.size <= LATEST) break;
    latest.delete(oldest);
  }
  return hash;
}

/** The digest that both sides sign for a batch: EIP-712 over the network's domain. */
export function batchDigest(batch: ReceiptBatch): Bytes32 {
  return TypedDataEncoder.hash(receiptDomain(batch.network), BATCH_TYPES, batch);
}

/** The Merkle tree over receipt hashes, in sequence order, whose proofs OpenZeppelin's MerkleProof verifies. */
export function receiptTree(hashes: readonly Bytes32[]): SimpleMerkleTree {
  return SimpleMerkleTree.of([...hashes], { sortLeaves: false });
}

/** The batch over these receipts, which must be one network's and worker's, in sequence and chained. @throws BATCH_INVALID */
export function batchOf(receipts: readonly WorkReceipt[]): ReceiptBatch {
  const first = receipts[0];
  const last = receipts.at(-1);
  if (first === undefined || last === undefined || receipts.length > BATCH_RECEIPTS) {
    throw new HearthlendError('BATCH_INVALID', { network: first?.network ?? '', detail: `it holds ${receipts.length} receipts` });
  }
  const hashes = receipts.map(hashReceipt);
  receipts.forEach((receipt, index) => {
    const chained = index === 0 || (receipt.sequence === first.sequence + index && receipt.previousHash === hashes[index - 1]);
    if (!chained || receipt.network !== first.network || receipt.worker !== first.worker) {
      throw new HearthlendError('BATCH_INVALID', {
        network: first.network,
        detail: `receipt ${receipt.sequence} does not follow the one before`,
      });
    }
  });
  return {
    network: first.network,
    worker: first.worker,
    first: first.sequence,
    last: last.sequence,
    merkleRoot: receiptTree(hashes).root as Bytes32,
    headHash: hashes.at(-1) as Bytes32,
  };
}

/** Whether `signature` over the batch is by `signer`. A malformed signature is simply not by anybody. */
export function batchSignedBy(batch: ReceiptBatch, signature: Signature, signer: Address): boolean {
  try {
    return recoverAddress(batchDigest(batch), signature).toLowerCase() === signer.toLowerCase();
  } catch {
    return false;
  }
}
