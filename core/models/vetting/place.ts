/** What the reader is inside of just now. Names are a stranger's text. */
export interface Place {
  /** A node's number among those of the graph, or of the node with graphs, that it lies in, from 0 on; null for a function. */
  number: number | null;
  name: string;
  type: string;
}

const MAX_CHARS = 200;
const MAX_NAME_CHARS = 60;

/** Where something is, for a person: `Loop "decode" › If "first" › tensor "w"`. Bounded, on one line, whatever the names are. */
export function describePlace(places: readonly Place[], tensor?: string): string {
  const parts = places.map(({ number, name, type }) => {
    if (number === null) return `function ${quoted(name)}`;
    return name === '' ? `node ${number}${type === '' ? '' : ` (${shortened(type)})`}` : `${shortened(type)} ${quoted(name)}`.trim();
  });
  if (tensor !== undefined) parts.push(tensor === '' ? 'a tensor' : `tensor ${quoted(tensor)}`);
  // Where a path is too long, its end says more.
  while (parts.length > 2 && parts.join(' › ').length > MAX_CHARS) parts.splice(0, parts[0] === '…' ? 2 : 1, '…');
  return parts.length === 0 ? 'the graph' : parts.join(' › ');
}

function quoted(name: string): string {
  return `"${shortened(name)}"`;
}

/** @returns the text without what a terminal or a log would take for more than text */
export function shortened(text: string): string {
  const plain = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '�');
  return plain.length <= MAX_NAME_CHARS ? plain : `${plain.slice(0, MAX_NAME_CHARS - 1)}…`;
}
