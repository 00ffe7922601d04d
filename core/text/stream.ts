/** Turns token ids into text as they come. */
export interface TextStream {
  /** The text that this token adds: nothing while a character's bytes are not all there. */
  push(id: number): string;
}

/** What a stream needs of a tokenizer. */
interface Bytes {
  /** Undefined for ids that add no text. */
  bytesOf(id: number): Uint8Array | undefined;
  strippedSpaces: number;
}

/**
 * A stream of text. A token may end in the middle of a character: its first bytes wait for the rest, so no replacement character appears for
 * them. Bytes that are not UTF-8 at all do become one. What is pushed adds up to what `decode` gives.
 */
export function createTextStream(tokenizer: Bytes): TextStream {
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  let strippable = tokenizer.strippedSpaces;
  return {
    push(id) {
      const bytes = tokenizer.bytesOf(id);
      let text = bytes === undefined ? '' : decoder.decode(bytes, { stream: true });
      for (; strippable > 0 && text !== ''; strippable -= 1) {
        if (text.startsWith(' ')) text = text.slice(1);
        else strippable = 1;
      }
      return text;
    },
  };
}
