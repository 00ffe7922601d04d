/** An element of a document without namespaces, comments inside text or mixed content, which is all that nvidia-smi writes. */
export interface Element {
  name: string;
  attributes: Record<string, string>;
  /** The text directly in it, trimmed. */
  text: string;
  children: Element[];
}

const MAX_DEPTH = 32;
const ENTITIES: Record<string, string> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'" };
const TOKEN =
  /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!DOCTYPE[^>[]*(?:\[[\s\S]*?\])?[^>]*>|<(\/?)([A-Za-z_][\w.-]*)((?:\s+[\w:.-]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>|([^<]+)/y;

/** The document's root; null where it is no well-formed document: cut off, wrongly nested, something else before or after it. */
export function parseXml(document: string): Element | null {
  const top: Element = { name: '', attributes: {}, text: '', children: [] };
  const open = [top];
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < document.length) {
    const token = TOKEN.exec(document);
    if (token === null) return null;
    const [, closes, name, attributes = '', isEmpty, text] = token;
    const parent = open.at(-1) as Element;
    if (text !== undefined) {
      if (parent === top && text.trim() !== '') return null;
      parent.text = `${parent.text} ${decode(text).trim()}`.trim();
    } else if (closes === '/') {
      if (open.length === 1 || parent.name !== name) return null;
      open.pop();
    } else if (name !== undefined) {
      const element: Element = { name, attributes: attributesOf(attributes), text: '', children: [] };
      parent.children.push(element);
      if (isEmpty !== '/') open.push(element);
      if (open.length > MAX_DEPTH) return null;
    }
  }
  return open.length === 1 && top.children.length === 1 ? (top.children[0] as Element) : null;
}

/** The text at a path of element names below this one; undefined where there is none. */
export function textAt(element: Element, ...path: string[]): string | undefined {
  return elementAt(element, ...path)?.text;
}

export function elementAt(element: Element, ...path: string[]): Element | undefined {
  let at: Element | undefined = element;
  for (const name of path) at = at?.children.find((child) => child.name === name);
  return at;
}

function attributesOf(text: string): Record<string, string> {
  const pairs = text.matchAll(/([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')/g);
  return Object.fromEntries([...pairs].map(([, name, double, single]) => [name as string, decode(double ?? single ?? '')]));
}

function decode(text: string): string {
  return text.replace(/&(lt|gt|amp|quot|apos);/g, (_, name: string) => ENTITIES[name] as string);
}
