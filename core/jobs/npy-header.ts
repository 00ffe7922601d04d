/** The header of an .npy array. `descr` is null for a structured type, which is a list. */
export interface NpyHeader {
  descr: string | null;
  fortranOrder: boolean;
  shape: number[];
}

/**
 * Parses the Python dictionary literal that an .npy header is: exactly the keys descr, fortran_order and shape. Nothing is evaluated.
 * @returns undefined where it is anything else
 */
export function parseNpyHeader(text: string): NpyHeader | undefined {
  const scanner = new Scanner(text);
  const fields = new Map<string, unknown>();
  if (!scanner.take('{')) return undefined;
  while (!scanner.take('}')) {
    const key = scanner.string();
    if (key === undefined || fields.has(key) || !scanner.take(':')) return undefined;
    const value = readField(scanner, key);
    if (value === undefined) return undefined;
    fields.set(key, value);
    if (!scanner.take(',') && !scanner.peek('}')) return undefined;
  }
  if (!scanner.atEnd() || fields.size !== 3) return undefined;
  return {
    descr: fields.get('descr') as string | null,
    fortranOrder: fields.get('fortran_order') as boolean,
    shape: fields.get('shape') as number[],
  };
}

function readField(scanner: Scanner, key: string): unknown {
  if (key === 'descr') return scanner.peek('[') ? (scanner.skipList() ? null : undefined) : scanner.string();
  if (key === 'fortran_order') return scanner.word('True') ? true : scanner.word('False') ? false : undefined;
  if (key === 'shape') return readShape(scanner);
  return undefined;
}

function readShape(scanner: Scanner): number[] | undefined {
  const shape: number[] = [];
  if (!scanner.take('(')) return undefined;
  while (!scanner.take(')')) {
    const size = scanner.number();
    if (size === undefined) return undefined;
    shape.push(size);
    // In Python (3) is no tuple, but the number 3.
    if (!scanner.take(',') && (!scanner.peek(')') || shape.length === 1)) return undefined;
  }
  return shape;
}

class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  peek(char: string): boolean {
    while (' \t\n'.includes(this.#text[this.#at] ?? '.')) this.#at += 1;
    return this.#text[this.#at] === char;
  }

  take(char: string): boolean {
    const found = this.peek(char);
    if (found) this.#at += 1;
    return found;
  }

  atEnd(): boolean {
    return !this.peek('') && this.#at === this.#text.length;
  }

  word(word: string): boolean {
    this.peek('');
    if (!this.#text.startsWith(word, this.#at)) return false;
    this.#at += word.length;
    return true;
  }

  string(): string | undefined {
    const quote = this.peek("'") ? "'" : this.peek('"') ? '"' : undefined;
    if (quote === undefined) return undefined;
    const end = this.#text.indexOf(quote, this.#at + 1);
    if (end < 0) return undefined;
    const string = this.#text.slice(this.#at + 1, end);
    this.#at = end + 1;
    return string.includes('\\') ? undefined : string;
  }

  /** A whole number ≥ 0; Python 2 wrote an L behind it. */
  number(): number | undefined {
    this.peek('');
    const digits = /^\d{1,16}(?=L?)/.exec(this.#text.slice(this.#at, this.#at + 17))?.[0];
    if (digits === undefined || !Number.isSafeInteger(Number(digits))) return undefined;
    this.#at += digits.length;
    if (this.#text[this.#at] === 'L') this.#at += 1;
    return Number(digits);
  }

  /** Steps over a list, nested ones and strings included. */
  skipList(): boolean {
    let depth = 0;
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at] as string;
      if (char === "'" || char === '"') {
        if (this.string() === undefined) return false;
        continue;
      }
      this.#at += 1;
      if (char === '[' || char === '(') depth += 1;
      if (char === ']' || char === ')') depth -= 1;
      if (depth === 0) return true;
    }
    return false;
  }
}
