import { keccak256 } from 'ethers';
import type { Bytes32 } from './digest.ts';

const HASH_BYTES = 32;

/**
 * The root of the Merkle tree over receipt hashes, in sequence order, whose proofs OpenZeppelin's MerkleProof verifies: a binary tree in an array, its
 * leaves from the end backwards, each node the keccak-256 of its two children, the smaller first. Source: @openzeppelin/merkle-tree, SimpleMerkleTree
 * with its leaves as they come, which also makes the proofs (proof.ts); the root alone is had at a tenth of its time. Not of no hashes at all.
 */
export function merkleRoot(hashes: readonly Bytes32[]): Bytes32 {
  if (hashes.length === 0) throw new RangeError('a tree of nothing has no root');
  const nodes = new Array<Bytes32>(2 * hashes.length - 1);
  hashes.forEach((hash, index) => {
    nodes[nodes.length - 1 - index] = hash;
  });
  const pair = new Uint8Array(2 * HASH_BYTES);
  for (let index = hashes.length - 2; index >= 0; index -= 1) {
    const [left, right] = [nodes[2 * index + 1] as Bytes32, nodes[2 * index + 2] as Bytes32];
    const [smaller, larger] = left < right ? [left, right] : [right, left];
    putHex(pair, HASH_BYTES, smaller);
    putHex(pair, 2 * HASH_BYTES, larger);
    nodes[index] = keccak256(pair) as Bytes32;
  }
  return nodes[0] as Bytes32;
}

/** Writes the bytes of hex digits, with or without 0x, so that they end before `end`. Upper and lower case are the same. */
export function putHex(bytes: Uint8Array, end: number, hex: string): void {
  const start = hex.startsWith('0x') ? 2 : 0;
  let at = end;
  for (let index = hex.length - 1; index >= start; index -= 2) {
    at -= 1;
    const high = index - 1 >= start ? digit(hex.charCodeAt(index - 1)) : 0;
    bytes[at] = (high << 4) | digit(hex.charCodeAt(index));
  }
}

/** Of 0 to 9, A to F and a to f. */
function digit(code: number): number {
  return code < 58 ? code - 48 : (code & 15) + 9;
}
