/** Turns token ids into text as they come. */
export interface TextStream {
  /** The text that this token adds: nothing while a character's bytes are not all there. */
  push(id: number): string;
}

/**
 * A stream over a byte-level tokenizer. A token may end in the middle of a character: its first bytes wait for the rest, so no replacement
 * character appears for them. Bytes that are not UTF-8 at all do become one. What is pushed adds up to what `decode` gives.
 */
export function createTextStream(tokenizer: { tokenOf(id: number): string | undefined }): TextStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    push(id) {
      const token = tokenizer.tokenOf(id);
      return token === undefined ? '' : decoder.decode(tokenBytes(token), { stream: true });
    },
  };
}

function tokenBytes(token: string): Uint8Array {
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
