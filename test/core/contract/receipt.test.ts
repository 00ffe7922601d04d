import { SimpleMerkleTree } from '@openzeppelin/merkle-tree';
import { computeAddress, getAddress, keccak256, SigningKey, solidityPackedKeccak256, TypedDataEncoder, toUtf8Bytes } from 'ethers';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { merkleRoot } from '../../../core/contract/merkle.ts';
import { practiceCredit } from '../../../core/contract/money.ts';
import { BATCH_RECEIPTS, FIRST_PREVIOUS_HASH, ReceiptBatch, WorkReceipt } from '../../../core/contract/receipt.ts';
import { batchDigest, batchOf, batchSignedBy, hashReceipt, receiptDomain } from '../../../core/contract/receipt-hash.ts';

const hex = (characters: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${characters}}$`));
const address = hex(40).map((digits) => `0x${digits}`);
const receipts: fc.Arbitrary<WorkReceipt> = fc.record({
  network: fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,20}$/),
  jobId: fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/),
  shardId: fc.stringMatching(/^[a-zA-Z0-9_.-]{1,20}$/),
  attempt: fc.integer({ min: 1, max: 1_000_000 }),
  worker: address,
  payee: address,
  furtherPayees: fc.array(fc.record({ payee: address, shareBasisPoints: fc.integer({ min: 1, max: 10_000 }) }), { maxLength: 3 }),
  modelHash: hex(64),
  inputHash: hex(64),
  outputCommitment: hex(64),
  units: fc.nat(),
  unitPrice: fc.bigInt({ min: 0n, max: 1n << 200n }).map(String),
  amount: fc.bigInt({ min: 0n, max: 1n << 255n }).map(String),
  asset: fc.constant(practiceCredit('local')),
  time: fc.nat(),
  sequence: fc.integer({ min: 1 }),
  previousHash: hex(64).map((digits) => `0x${digits}`),
});

/** Receipts as a coordinator chains them. */
function chained(template: WorkReceipt, count: number, first = 1): WorkReceipt[] {
  const chain: WorkReceipt[] = [];
  for (let index = 0; index < count; index += 1) {
    const last = chain.at(-1);
    const previousHash = last === undefined ? template.previousHash : hashReceipt(last);
    chain.push({ ...template, shardId: `s${index}`, sequence: first + index, previousHash });
  }
  return chain;
}

test("a receipt's hash is the same for the same content in any order of its fields, and another for any other content", () => {
  fc.assert(
    fc.property(
      receipts,
      receipts,
      fc.constantFrom(...(Object.keys(WorkReceipt.shape) as Array<keyof WorkReceipt>)),
      (receipt, other, field) => {
        const hash = hashReceipt(receipt);
        expect(hash).toMatch(/^0x[0-9a-f]{64}$/);
        expect(hashReceipt(Object.fromEntries(Object.entries(receipt).reverse()) as WorkReceipt)).toBe(hash);
        const changed = { ...receipt, [field]: other[field] };
        expect(hashReceipt(changed) === hash).toBe(JSON.stringify(changed[field]) === JSON.stringify(receipt[field]));
      },
    ),
  );
});

test("a receipt's hash is EIP-712's, as a general encoder works it out", () => {
  const types = {
    WorkReceipt: [
      ...['string network', 'string jobId', 'string shardId', 'uint32 attempt', 'address worker', 'address payee'],
      ...['FurtherPayee[] furtherPayees', 'bytes32 modelHash', 'bytes32 inputHash', 'bytes32 outputCommitment', 'uint64 units'],
      ...['uint256 unitPrice', 'uint256 amount', 'string asset', 'uint64 time', 'uint64 sequence', 'bytes32 previousHash'],
    ].map(fieldOf),
    FurtherPayee: ['address payee', 'uint16 shareBasisPoints'].map(fieldOf),
  };
  const encoder = TypedDataEncoder.from(types);
  fc.assert(
    fc.property(receipts, (receipt) => {
      const [modelHash, inputHash, outputCommitment] = [receipt.modelHash, receipt.inputHash, receipt.outputCommitment].map(
        (hash) => `0x${hash}`,
      );
      const general = encoder.hashStruct('WorkReceipt', { ...receipt, modelHash, inputHash, outputCommitment });
      expect(hashReceipt(receipt)).toBe(general);
      expect(hashReceipt({ ...receipt, payee: getAddress(receipt.payee) })).toBe(general);
    }),
  );
});

test("a tree's root is OpenZeppelin's, whatever number of leaves it has", () => {
  fc.assert(
    fc.property(fc.array(hex(64), { minLength: 1, maxLength: 130 }), (digits) => {
      const hashes = digits.map((each) => `0x${each}`);
      expect(merkleRoot(hashes)).toBe(SimpleMerkleTree.of(hashes, { sortLeaves: false }).root);
    }),
    { numRuns: 40 },
  );
  expect(() => merkleRoot([])).toThrow(RangeError);
});

function fieldOf(text: string): { name: string; type: string } {
  const [type = '', name = ''] = text.split(' ');
  return { name, type };
}

test('a batch digest is that of EIP-712, worked out from its definition', () => {
  const batch: ReceiptBatch = {
    network: 'local',
    worker: `0x${'ab'.repeat(20)}`,
    first: 1,
    last: 3,
    merkleRoot: `0x${'11'.repeat(32)}`,
    headHash: `0x${'22'.repeat(32)}`,
  };
  const word = (value: bigint | string) => (typeof value === 'bigint' ? value.toString(16) : value.slice(2)).padStart(64, '0');
  const text = (value: string) => keccak256(toUtf8Bytes(value));
  const domain = keccak256(
    `0x${[text('EIP712Domain(string name,string version,bytes32 salt)'), text('Hearthlend'), text('1'), text('local')].map(word).join('')}`,
  );
  const type = text('ReceiptBatch(string network,address worker,uint64 first,uint64 last,bytes32 merkleRoot,bytes32 headHash)');
  const struct = keccak256(`0x${[type, text('local'), batch.worker, 1n, 3n, batch.merkleRoot, batch.headHash].map(word).join('')}`);
  expect(batchDigest(batch)).toBe(keccak256(`0x1901${word(domain)}${word(struct)}`));
  expect(TypedDataEncoder.hashDomain(receiptDomain('local'))).toBe(domain);
  expect(batchDigest({ ...batch, network: 'other' })).not.toBe(batchDigest(batch));
});

test('a batch is over its receipts in their order, and each can be proven to be in it', () => {
  fc.assert(
    fc.property(receipts, fc.integer({ min: 1, max: BATCH_RECEIPTS }), fc.integer({ min: 1, max: 1000 }), (template, count, first) => {
      const chain = chained(template, count, first);
      const hashes = chain.map(hashReceipt);
      const batch = ReceiptBatch.parse(batchOf(chain));
      expect(batch).toMatchObject({ network: template.network, first, last: first + count - 1, headHash: hashes.at(-1) });
      const tree = SimpleMerkleTree.of(hashes, { sortLeaves: false });
      const index = count - 1;
      expect(SimpleMerkleTree.verify(batch.merkleRoot, hashes[index] ?? '', tree.getProof(index))).toBe(true);
      expect(SimpleMerkleTree.verify(batch.merkleRoot, FIRST_PREVIOUS_HASH, tree.getProof(index))).toBe(false);
    }),
    { numRuns: 15 },
  );
  const [a, b] = [`0x${'11'.repeat(32)}`, `0x${'22'.repeat(32)}`];
  expect(merkleRoot([b, a])).toBe(solidityPackedKeccak256(['bytes32', 'bytes32'], [a, b]));
});

test('receipts that are none, too many, out of order, unchained or of several workers make no batch', () => {
  fc.assert(
    fc.property(receipts, (template) => {
      const chain = chained(template, 3);
      const [first, second, third] = chain as [WorkReceipt, WorkReceipt, WorkReceipt];
      const wrong = [
        [],
        [first, third],
        [second, first],
        [first, { ...second, previousHash: third.previousHash }],
        [first, { ...second, sequence: 3 }],
        [first, { ...second, worker: `0x${'0'.repeat(39)}1` }],
        [first, { ...second, network: `${second.network}x` }],
      ];
      for (const each of wrong) expect(() => batchOf(each)).toThrow(expect.objectContaining({ code: 'BATCH_INVALID' }));
    }),
    { numRuns: 10 },
  );
  const [template] = fc.sample(receipts, { numRuns: 1, seed: 1 });
  if (template === undefined) throw new Error('no sample');
  expect(() => batchOf(chained(template, BATCH_RECEIPTS + 1))).toThrow(expect.objectContaining({ code: 'BATCH_INVALID' }));
});

test('a signature is by whoever made it, over that batch alone; a malformed one is by nobody', () => {
  fc.assert(
    fc.property(receipts, hex(64), (template, seed) => {
      const key = new SigningKey(`0x1${seed.slice(1)}`);
      const signer = computeAddress(key);
      const batch = batchOf(chained(template, 2));
      const signature = key.sign(batchDigest(batch)).serialized;
      expect(batchSignedBy(batch, signature, signer)).toBe(true);
      expect(batchSignedBy(batch, signature, signer.toLowerCase())).toBe(true);
      expect(batchSignedBy({ ...batch, last: batch.last + 1 }, signature, signer)).toBe(false);
      expect(batchSignedBy(batch, signature, template.payee)).toBe(false);
    }),
    { numRuns: 15 },
  );
  const [template] = fc.sample(receipts, { numRuns: 1, seed: 1 });
  if (template === undefined) throw new Error('no sample');
  for (const signature of ['', '0x', `0x${'0'.repeat(130)}`, `0x${'f'.repeat(130)}`, 'rubbish']) {
    expect(batchSignedBy(batchOf(chained(template, 1)), signature, template.worker)).toBe(false);
  }
});
