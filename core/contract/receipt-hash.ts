// Apart from receipt.ts, so that what only reads receipts (the screen) doesn't carry ethers.
import { id, keccak256, recoverAddress, type TypedDataDomain, TypedDataEncoder, type TypedDataField } from 'ethers';
import type { Bytes32 } from './digest.ts';
import { HearthlendError } from './errors.ts';
import { merkleRoot, putHex } from './merkle.ts';
import { type Address, BATCH_RECEIPTS, type ReceiptBatch, type Signature, type WorkReceipt } from './receipt.ts';

/** EIP-712 struct types of a receipt; SHA-256 digests travel as bytes32. */
const FURTHER_PAYEE = 'FurtherPayee(address payee,uint16 shareBasisPoints)';
const WORK_RECEIPT = `WorkReceipt(string network,string jobId,string shardId,uint32 attempt,address worker,address payee,FurtherPayee[] furtherPayees,bytes32 modelHash,bytes32 inputHash,bytes32 outputCommitment,uint64 units,uint256 unitPrice,uint256 amount,string asset,uint64 time,uint64 sequence,bytes32 previousHash)${FURTHER_PAYEE}`;
const RECEIPT_TYPE = id(WORK_RECEIPT);
const FURTHER_PAYEE_TYPE = id(FURTHER_PAYEE);
const NOBODY = keccak256(new Uint8Array(0));
const WORD = 32;

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

/** The EIP-712 domain of a network's receipts: its salt is the network id's keccak-256. Source: EIP-712, "Definition of domainSeparator". */
export function receiptDomain(network: string): TypedDataDomain {
  return { name: 'Hearthlend', version: '1', salt: id(network) };
}

/** Hashes of the latest receipts, by their content: each is needed when it is made, recorded, and put into a batch. */
const latest = new Map<string, Bytes32>();
const LATEST = 2 * BATCH_RECEIPTS;

/** The hash by which a receipt is chained and put into a batch: its EIP-712 struct hash. */
export function hashReceipt(receipt: WorkReceipt): Bytes32 {
  const content = JSON.stringify(receipt);
  const known = latest.get(content);
  if (known !== undefined) return known;
  const hash = structHash(receipt);
  latest.set(content, hash);
  for (const oldest of latest.keys()) {
    if (latest.size <= LATEST) break;
    latest.delete(oldest);
  }
  return hash;
}

/** EIP-712's `hashStruct`, without a general encoder's way through the types: a ledger of a million receipts is hashed anew when it is verified. */
function structHash(receipt: WorkReceipt): Bytes32 {
  const further = receipt.furtherPayees.map(({ payee, shareBasisPoints }) =>
    keccak256(words([FURTHER_PAYEE_TYPE, payee, numberHex(shareBasisPoints)])),
  );
  return keccak256(
    words([
      RECEIPT_TYPE,
      textHash(receipt.network),
      textHash(receipt.jobId),
      id(receipt.shardId),
      numberHex(receipt.attempt),
      receipt.worker,
      receipt.payee,
      further.length === 0 ? NOBODY : keccak256(words(further)),
      receipt.modelHash,
      receipt.inputHash,
      receipt.outputCommitment,
      numberHex(receipt.units),
      numberHex(BigInt(receipt.unitPrice)),
      numberHex(BigInt(receipt.amount)),
      textHash(receipt.asset),
      numberHex(receipt.time),
      numberHex(receipt.sequence),
      receipt.previousHash,
    ]),
  ) as Bytes32;
}

/** Hex numbers, each right-aligned in a word of 32 bytes. */
function words(values: readonly string[]): Uint8Array {
  const bytes = new Uint8Array(values.length * WORD);
  values.forEach((hex, index) => {
    putHex(bytes, (index + 1) * WORD, hex);
  });
  return bytes;
}

function numberHex(value: number | bigint): string {
  return value.toString(16);
}

/** keccak-256 of texts that many receipts share. */
const textHashes = new Map<string, Bytes32>();
const TEXTS = 256;

function textHash(text: string): Bytes32 {
  const known = textHashes.get(text);
  if (known !== undefined) return known;
  if (textHashes.size >= TEXTS) textHashes.clear();
  const hash = id(text) as Bytes32;
  textHashes.set(text, hash);
  return hash;
}

/** The digest that both sides sign for a batch: EIP-712 over the network's domain. */
export function batchDigest(batch: ReceiptBatch): Bytes32 {
  return TypedDataEncoder.hash(receiptDomain(batch.network), BATCH_TYPES, batch);
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
    merkleRoot: merkleRoot(hashes),
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
