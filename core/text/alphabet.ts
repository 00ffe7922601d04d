import { z } from 'zod';

/** How a tokenizer writes bytes as tokens, and what its text loses at the front. */
export interface Alphabet {
  /** The bytes that a token stands for. */
  bytesOf(token: string): Uint8Array;
  /** Spaces taken off the start of a text, at most. */
  strippedSpaces: number;
}

/** Byte-level BPE: GPT-2, Llama 3, Qwen, SmolLM. */
const ByteLevel = z.looseObject({ type: z.literal('ByteLevel') });
/** SentencePiece's pieces, as converters of Llama 2, Mistral, Phi 3 and Gemma write them down. */
const Metaspace = z.looseObject({
  type: z.literal('Metaspace'),
  replacement: z.literal('▁').optional(),
  add_prefix_space: z.boolean().optional(),
  prepend_scheme: z.enum(['always', 'never', 'first']).optional(),
});
const Pieces = z.looseObject({
  type: z.literal('Sequence'),
  decoders: z
    .array(
      z.union([
        z.looseObject({ type: z.literal('Replace'), pattern: z.object({ String: z.literal('▁') }), content: z.literal(' ') }),
        z.looseObject({ type: z.enum(['ByteFallback', 'Fuse']) }),
        z.looseObject({ type: z.literal('Strip'), content: z.literal(' '), start: z.int().min(0).max(16), stop: z.literal(0) }),
      ]),
    )
    .max(8),
});
const Decoder = z.union([ByteLevel, Metaspace, Pieces]);

/** The alphabet that the `decoder` of a tokenizer.json describes; undefined where it is of another kind. */
export function alphabetOf(decoder: unknown): Alphabet | undefined {
  const known = Decoder.safeParse(decoder);
  if (!known.success) return undefined;
  const { data } = known;
  if (data.type === 'ByteLevel') return { bytesOf: bytesOfByteLevel, strippedSpaces: 0 };
  if (data.type === 'Metaspace') {
    const prepends = data.prepend_scheme === undefined ? data.add_prefix_space !== false : data.prepend_scheme !== 'never';
    return { bytesOf: bytesOfPiece, strippedSpaces: prepends ? 1 : 0 };
  }
  let strippedSpaces = 0;
  for (const step of data.decoders) if (step.type === 'Strip') strippedSpaces += step.start;
  return { bytesOf: bytesOfPiece, strippedSpaces };
}

const BYTE_PIECE = /^<0x([0-9A-F]{2})>$/;

function bytesOfPiece(piece: string): Uint8Array {
  const byte = BYTE_PIECE.exec(piece)?.[1];
  return byte === undefined ? new TextEncoder().encode(piece.replaceAll('▁', ' ')) : Uint8Array.of(Number.parseInt(byte, 16));
}

function bytesOfByteLevel(token: string): Uint8Array {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = BYTE_OF.get(char);
    // A token that was added as plain text is not in the alphabet.
    if (byte === undefined) return new TextEncoder().encode(token);
    bytes.push(byte);
  }
  return Uint8Array.from(bytes);
}

/**
 * GPT-2's alphabet: printable Latin-1 bytes stand for themselves, the other 68 for the code points from 256 on, in order.
 * Source: bytes_to_unicode in github.com/openai/gpt-2, src/encoder.py
 */
const BYTE_OF: ReadonlyMap<string, number> = byteAlphabet();

function byteAlphabet(): Map<string, number> {
  const alphabet = new Map<string, number>();
  let moved = 0;
  for (let byte = 0; byte < 256; byte += 1) {
    const printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    alphabet.set(String.fromCodePoint(printable ? byte : 256 + moved), byte);
    if (!printable) moved += 1;
  }
  return alphabet;
}
