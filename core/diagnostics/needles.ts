import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const MIN_CHARACTERS = 8;
const MAX_FILE_BYTES = 1 << 20;
/** Values of these fields are public, or say what the file is. */
const OPEN_FIELDS = new Set(['type', 'version', 'address', 'cipher', 'kdf', 'id', 'url', 'host', 'theme', 'logLevel']);
const SECRET_NAME = /key|token|secret|pass|auth|cred|session|mnemonic/i;

/**
 * What must not be in anything that leaves this machine: every word of the data folder's small JSON files but the settings, secrets in the
 * environment, and who and where the user is. A second wall: nothing of it should get as far as being searched for.
 */
export function secretsIn(
  dataDir: string,
  surroundings: { env: Readonly<Record<string, string | undefined>>; user: string; host: string },
): string[] {
  const words: string[] = [];
  for (const name of jsonFiles(dataDir)) words.push(...wordsOf(join(dataDir, name)));
  for (const [name, value] of Object.entries(surroundings.env)) if (value !== undefined && SECRET_NAME.test(name)) words.push(value);
  return [...new Set([...words, surroundings.host, surroundings.user])].filter(
    (word) => word.length >= MIN_CHARACTERS && word !== 'hearthlend',
  );
}

/** Whether a text has one of these in it, written as it is or as it stands in JSON. */
export function holdsSecret(text: string, secrets: readonly string[]): boolean {
  return secrets.some((secret) => text.includes(secret) || text.includes(JSON.stringify(secret).slice(1, -1)));
}

function jsonFiles(dataDir: string): string[] {
  try {
    return readdirSync(dataDir).filter((name) => name.endsWith('.json') && name !== 'settings.json');
  } catch {
    // No folder, no secrets in it.
    return [];
  }
}

function wordsOf(path: string): string[] {
  try {
    if (statSync(path).size > MAX_FILE_BYTES) return [];
    const words: string[] = [];
    JSON.parse(readFileSync(path, 'utf8'), (name, value: unknown) => {
      if (typeof value === 'string' && !OPEN_FIELDS.has(name)) words.push(value);
      return value;
    });
    return words;
  } catch {
    // What can't be read here can't have been read for the report either.
    return [];
  }
}
