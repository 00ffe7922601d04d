/** One complete type of a D-Bus signature: `s`, `a{sv}`, `(us)`. */
export type Type = { kind: 'basic'; code: string } | { kind: 'array'; of: Type } | { kind: 'struct' | 'entry'; fields: Type[] };

const BASIC = 'ybnqiuxtdsoghv';
/** As the specification bounds it. */
const MAX_DEPTH = 64;

/** The complete types of a signature. @throws where it is none */
export function parseSignature(signature: string): Type[] {
  const types: Type[] = [];
  let at = 0;
  const one = (depth: number): Type => {
    const code = signature[at];
    at += 1;
    if (code === undefined || depth > MAX_DEPTH) throw new Error(`no D-Bus signature: ${signature}`);
    if (BASIC.includes(code)) return { kind: 'basic', code };
    if (code === 'a') return { kind: 'array', of: one(depth + 1) };
    if (code !== '(' && code !== '{') throw new Error(`no D-Bus signature: ${signature}`);
    const end = code === '(' ? ')' : '}';
    const fields: Type[] = [];
    while (signature[at] !== end) fields.push(one(depth + 1));
    at += 1;
    return { kind: code === '(' ? 'struct' : 'entry', fields };
  };
  while (at < signature.length) types.push(one(0));
  return types;
}

export function alignmentOf(type: Type): number {
  if (type.kind === 'array') return 4;
  if (type.kind !== 'basic') return 8;
  if ('xtd'.includes(type.code)) return 8;
  if ('buisoh'.includes(type.code)) return 4;
  return 'nq'.includes(type.code) ? 2 : 1;
}
