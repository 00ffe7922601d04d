import { HearthlendError } from '../../core/contract/errors.ts';
import type { Generating } from '../../core/contract/serving.ts';
import { createStopScanner } from './stop.ts';

/** An answer as its tokens come, in whatever pieces and however often they are told. */
export interface TextSoFar {
  /** The text that these tokens add. Told again, they add nothing. @throws ANSWER_DIVERGED where they are other ones than before */
  take(from: number, tokens: readonly number[]): string;
  /** What is left to be said once nothing else comes. */
  rest(): string;
  /** Whether one of the words has come at which the answer was to stop. */
  readonly stopped: boolean;
  /** Tokens of the answer, the stop token included. */
  readonly tokens: number;
  /** Why it ended: by itself or at such a word, or because no more tokens were to be made. */
  readonly finish: 'stop' | 'length';
}

export function createTextSoFar({ stopTokens, stream }: Pick<Generating, 'stopTokens' | 'stream'>, stops: readonly string[]): TextSoFar {
  const ids: number[] = [];
  const push = stream();
  const scanner = createStopScanner(stops);
  let stopped = false;
  let ended = false;

  function add(id: number): string {
    ids.push(id);
    ended = stopTokens.includes(id);
    if (ended) return '';
    const scanned = scanner.push(push(id));
    stopped = scanned.stopped;
    return scanned.text;
  }

  return {
    take(from, tokens) {
      let text = '';
      for (const [offset, id] of tokens.entries()) {
        const at = from + offset;
        if (stopped) break;
        if (at < ids.length && ids[at] !== id) throw new HearthlendError('ANSWER_DIVERGED');
        // What lies between was told to somebody else; the end of the job tells it again.
        if (at > ids.length) break;
        if (at === ids.length) text += add(id);
      }
      return text;
    },
    rest: () => (stopped ? '' : scanner.rest()),
    get stopped() {
      return stopped;
    },
    get tokens() {
      return ids.length;
    },
    get finish() {
      return stopped || ended ? 'stop' : 'length';
    },
  };
}
