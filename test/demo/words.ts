import { IntlMessageFormat } from 'intl-messageformat';
import words from './words.json' with { type: 'json' };

/** What the demonstration says: not the product's, whose catalogue must not carry it. */
export type WordKey = keyof typeof words;

/** The words for a key, with its parameters put in. */
export function say(key: WordKey, params: Record<string, string | number> = {}): string {
  return String(new IntlMessageFormat(words[key], 'en', undefined, { ignoreTag: true }).format(params));
}
