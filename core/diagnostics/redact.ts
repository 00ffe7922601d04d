/** Facts of a log line whose words are this program's own, and how those look. Of every other word only its length is told. */
const OPEN_FACTS = new Map([
  ['at', /^\d{4}-\d\d-\d\dT[\d:.]+Z$/],
  ['level', /^(debug|info|warn|error)$/],
  ['event', /^[a-z]+([ -][a-z]+){0,7}$/],
  ['code', /^[A-Z]+(_[A-Z]+){0,5}$/],
  ['state', /^[a-z]{1,20}$/],
  ['key', /^[a-z]+([.-][a-z]+){0,7}$/],
  ['network', /^local$/],
  ['shardId', /^(practice-\d+|job-[0-9a-f]{12}\.\d+)$/],
  ['shard', /^(practice-\d+|job-[0-9a-f]{12}\.\d+)$/],
  ['how', /^(exit code \d+|signal SIG[A-Z0-9]+)$/],
  ['onnxruntime', /^\d+\.\d+\.\d+$/],
  ['node', /^v?\d+\.\d+\.\d+$/],
]);
const FACT_NAME = /^[A-Za-z]{1,32}$/;
const MAX_DEPTH = 4;
/** `0x` and 40 digits: whose machine it is. The ends are enough to tell two apart. */
const ADDRESS = /0x[0-9a-fA-F]{40}/g;
/** Keys, tokens and digests: nobody needs them to find a fault. */
const LONG_HEX = /\b(?:0x)?[0-9a-fA-F]{32,}\b/g;

/** A log line as others may read it: numbers and this program's own words, nothing that a person named or typed. Null where it is no line of ours. */
export function redactLine(line: string): string | null {
  let facts: unknown;
  try {
    facts = JSON.parse(line);
  } catch {
    return null;
  }
  if (typeof facts !== 'object' || facts === null || Array.isArray(facts)) return null;
  return JSON.stringify(redactFacts(facts, 0));
}

function redactFacts(facts: object, depth: number): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [FACT_NAME.test(name) ? name : '[name]', redactValue(name, value, depth)]),
  );
}

function redactValue(name: string, value: unknown, depth: number): unknown {
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'string') {
    return OPEN_FACTS.get(name)?.test(value) ? value : `[${value.length} characters]`;
  }
  if (typeof value !== 'object' || depth >= MAX_DEPTH) return '[left out]';
  return Array.isArray(value) ? `[${value.length} values]` : redactFacts(value, depth + 1);
}

/** Words of our own, without what could be somebody's: the home folder, addresses in full, long runs of digits. */
export function redactWords(words: string, home: string): string {
  const homeless = home.length > 1 ? words.replaceAll(home, '~') : words;
  return homeless.replace(ADDRESS, (address) => `${address.slice(0, 6)}…${address.slice(-4)}`).replace(LONG_HEX, '[digits]');
}
