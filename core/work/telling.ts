import type { MadeTokens } from '../contract/network.ts';

/** Tokens go out together: faster than an eye reads, and seldom enough for a network. */
const TELL_EVERY_MS = 100;
/** Tokens in one message at most: MadeTokens' bound. */
const MAX_TOGETHER = 1024;

/** Tells the tokens of a shard with `stream` to its network while they are made, in order and one message at a time. */
export interface Telling {
  token(token: number): void;
  /** Nothing is told any more: the result says all of it. */
  end(): void;
}

/** @param tell false where the lease is gone, and nobody waits any more */
export function createTelling(
  tell: (made: MadeTokens) => Promise<boolean>,
  onGone: () => void,
  onError: (thrown: unknown) => void,
): Telling {
  let from = 0;
  let tokens: number[] = [];
  let timer: NodeJS.Timeout | undefined;
  let telling = false;
  let ended = false;

  async function flush(): Promise<void> {
    timer = undefined;
    if (telling || ended || tokens.length === 0) return;
    telling = true;
    const made = { from, tokens: tokens.slice(0, MAX_TOGETHER) };
    from += made.tokens.length;
    tokens = tokens.slice(MAX_TOGETHER);
    try {
      if (!(await tell(made))) onGone();
    } catch (thrown) {
      // To be told again with what follows.
      from = made.from;
      tokens.unshift(...made.tokens);
      onError(thrown);
    } finally {
      telling = false;
      if (!ended) timer = setTimeout(() => void flush(), TELL_EVERY_MS);
    }
  }

  return {
    token(token) {
      tokens.push(token);
      // The first at once: it is what somebody waits for.
      if (timer === undefined && !telling) void flush();
    },
    end() {
      ended = true;
      clearTimeout(timer);
    },
  };
}
